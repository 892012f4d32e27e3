import time, psycopg, pytest
from psycopg import sql
pytestmark = pytest.mark.integration
@pytest.mark.parametrize("strategy", ["FILE_COPY","WAL_LOG","FILE_COPY","WAL_LOG"])
def test_x(postgres_server, template_database, strategy):
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as c:
        size = c.execute("select pg_database_size(%s)", [template_database]).fetchone()
        a=b=0
        for i in range(10):
            t=time.time(); c.execute(f"CREATE DATABASE t{i} TEMPLATE {template_database} STRATEGY {strategy}"); a+=time.time()-t
            t=time.time(); c.execute(f"DROP DATABASE t{i}"); b+=time.time()-t
        print(strategy, size, 'create', a/10, 'drop', b/10)
