-- What each measurement of the data quality tests found: one row per check, kept for good, also of runs that failed.
CREATE TABLE IF NOT EXISTS reports.quality_results (
    measurement uuid NOT NULL,
    check_name text NOT NULL,
    run_id text NOT NULL,
    attempt integer NOT NULL,
    severity text NOT NULL CHECK (severity IN ('error', 'warning')),
    passed boolean NOT NULL,
    observed numeric,
    expectation text NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (measurement, check_name)
);
CREATE INDEX IF NOT EXISTS quality_results_newest ON reports.quality_results (check_name, measured_at DESC);
