"""CRM sync in the service: `crm_sync`'s ports over `call_records`, what is configured, and what runs."""
