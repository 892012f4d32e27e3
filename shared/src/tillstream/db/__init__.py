"""Access to PostgreSQL: declared tables, migrations, roles, pools, named queries."""
