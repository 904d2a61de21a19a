set variable files = (
    select list(getvariable('path') || '/' || file.path)
    from (select unnest(files) as file from read_json(getvariable('path') || '/time_entries/_manifests/*/*.json'))
);
-- The newest observation of each entry.
select * exclude (day)
from read_parquet(getvariable('files'), hive_partitioning = true)
qualify row_number() over (partition by id order by updated_at desc, observed_at desc) = 1
order by id;
