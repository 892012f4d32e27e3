-- Nobody in the table means that nothing was loaded.
SELECT count(*) AS observed, count(*) > 0 AS passed
FROM api.users
