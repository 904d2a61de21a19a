create warehouse toggl warehouse_size = xsmall auto_suspend = 60 auto_resume = true initially_suspended = true;
create schema analytics.toggl;
create role toggl_loader;
grant usage on warehouse toggl to role toggl_loader;
grant usage on database analytics to role toggl_loader;
grant usage, create table, create view, create stage on schema analytics.toggl to role toggl_loader;
grant role toggl_loader to user toggl_loader;
