-- One result of one measurement; the same task instance measuring again replaces its own.
INSERT INTO reports.quality_results (measurement, check_name, run_id, attempt, severity, passed, observed, expectation)
VALUES (
    %(measurement)s, %(check_name)s, %(run_id)s, %(attempt)s, %(severity)s, %(passed)s, %(observed)s, %(expectation)s
)
ON CONFLICT (measurement, check_name) DO UPDATE
SET passed = excluded.passed, observed = excluded.observed, measured_at = excluded.measured_at
