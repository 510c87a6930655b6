"""What is on its way into connected CRMs, as it is kept. What it means is `crm_sync`'s; `switchhook.crm` joins the two."""
