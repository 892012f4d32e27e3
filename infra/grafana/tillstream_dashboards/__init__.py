"""The dashboards as code: `python -m tillstream_dashboards` writes `infra/grafana/dashboards/*.json`."""
