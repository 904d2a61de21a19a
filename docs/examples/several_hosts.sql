create role toggl login password 'a password';
create database airflow_data owner toggl;
