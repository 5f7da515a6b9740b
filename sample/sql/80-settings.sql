-- settings of the database
ALTER DATABASE {{database}} SET statement_timeout = '10min';
ALTER DATABASE {{database}} SET search_path = people, teaching, fees, public;
ALTER ROLE school_report IN DATABASE {{database}} SET work_mem = '32MB';
COMMENT ON DATABASE {{database}} IS 'A school that does not exist';
GRANT CONNECT ON DATABASE {{database}} TO school_report;
REVOKE TEMPORARY ON DATABASE {{database}} FROM PUBLIC;
