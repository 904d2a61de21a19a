{{ config(enabled=var('toggl_using_invoices', false)) }}

select
    id as invoice_id,
    workspace_id,
    user_id,
    document_id,
    "date" as invoice_date,
    due_date,
    currency,
    items,
    taxes,
    purchase_number,
    payment_terms,
    message,
    billing_address,
    workspace_address,
    created_at,
    integration_ext_id,
    integration_ext_type,
    integration_provider,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'invoices') }}
