"""One file per CRM, one table of them all: the connect page, the command line and the conformance kit read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from crm_sync.adapters.amocrm import AmoCrmAdapter
from crm_sync.adapters.base import ConnectionSettings, CrmAdapter
from crm_sync.adapters.bitrix24 import Bitrix24Adapter
from crm_sync.adapters.bitrix24_webhook import Bitrix24WebhookAdapter
from crm_sync.adapters.odoo import OdooAdapter
from crm_sync.adapters.webhook import WebhookAdapter

ADAPTERS: Mapping[str, Callable[[ConnectionSettings], CrmAdapter]] = MappingProxyType(
    {
        "bitrix24": Bitrix24Adapter,
        "bitrix24_webhook": Bitrix24WebhookAdapter,
        "amocrm": AmoCrmAdapter,
        "odoo": OdooAdapter,
        "webhook": WebhookAdapter,
    }
)


@dataclass(frozen=True, slots=True)
class AdapterOptions:
    """What only one kind of CRM needs to be configured."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


OPTIONS: Mapping[str, AdapterOptions] = MappingProxyType(
    {
        "bitrix24": AdapterOptions(optional=("token_url", "fallback_user_id")),
        "bitrix24_webhook": AdapterOptions(),
        "amocrm": AdapterOptions(optional=("pipeline_id", "source_uid", "source_name")),
        "odoo": AdapterOptions(required=("database", "user_id", "version")),
        "webhook": AdapterOptions(),
    }
)
"""By adapter; a person who configures another one is told which there are."""
