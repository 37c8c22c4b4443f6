"""casstore: a content-addressed, versioned artifact store.

Bytes are immutable and named by their BLAKE3 digest; what can change is a row in Postgres. Start with `Store` (or `AsyncStore`):

    with casstore.Store() as store:
        tenant = store.tenant()
        tenant.put("sop/login", "# How to log in")
        print(tenant.get("sop/login@1").text())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

__version__ = "0.1.0"

if TYPE_CHECKING:
    from casstore.client import Transfer, connect, connect_async
    from casstore.client.blocking import RemoteTenant
    from casstore.client.tenant import AsyncRemoteTenant
    from casstore.collection import Candidate, Collected, Uncollected
    from casstore.direct import DirectLink, UploadOffer
    from casstore.errors import (
        CasstoreError,
        Code,
        Conflict,
        Corrupt,
        Denied,
        Invalid,
        NotFound,
        Unavailable,
        UsageError,
    )
    from casstore.formats.comparison import Change, Comparison, MergeConflict
    from casstore.model import (
        Component,
        Deleted,
        Digest,
        Hold,
        Impact,
        Lineage,
        Link,
        Manifest,
        Node,
        Page,
        Pointer,
        Relation,
        Shared,
        Source,
        Stored,
        TenantState,
        Transition,
        Usage,
        Version,
    )
    from casstore.operations.auditing import JournalAudit, JournalFault
    from casstore.operations.defects import AsyncCheck, Checked, Defect, Repaired, Scrubbed
    from casstore.operations.delivering import Delivered, WebhookTest
    from casstore.operations.differences import ComponentDiff, Diff, Side
    from casstore.operations.diffing import Compared
    from casstore.operations.doctor import Finding
    from casstore.operations.following import Event, Events
    from casstore.operations.get import AsyncArtifact, AsyncReader
    from casstore.operations.importing import Imported, ImportReport
    from casstore.operations.init import Prepared
    from casstore.operations.journaling import JournalExport
    from casstore.operations.merges import Merge, MergedPart, PartConflict, Resolution
    from casstore.operations.pending import Pending
    from casstore.operations.rebuilding import CatalogDigest, Rebuilt
    from casstore.operations.receipts import ContentReceipt, ErasedContent, Receipt, ReceiptCheck
    from casstore.operations.retaining import (
        Custody,
        Expiry,
        Retained,
        Retention,
        RetentionPreview,
        RetentionTotals,
        Verdict,
    )
    from casstore.operations.subscribing import NewWebhook, Webhook
    from casstore.operations.transaction import AsyncTransaction
    from casstore.operations.undoing import Operation
    from casstore.refs import Ref, Selector
    from casstore.retention import RetentionKeep, RetentionMatch, RetentionPolicy, RetentionRule
    from casstore.staging import Components, Part, Uploaded
    from casstore.store import AsyncStore
    from casstore.sync import Artifact, Check, Reader, Store, Tenant, Transaction
    from casstore.tenant import AsyncTenant

__all__ = [
    "Artifact",
    "AsyncArtifact",
    "AsyncCheck",
    "AsyncReader",
    "AsyncRemoteTenant",
    "AsyncStore",
    "AsyncTenant",
    "AsyncTransaction",
    "Candidate",
    "CasstoreError",
    "CatalogDigest",
    "Change",
    "Check",
    "Checked",
    "Code",
    "Collected",
    "Compared",
    "Comparison",
    "Component",
    "ComponentDiff",
    "Components",
    "Conflict",
    "ContentReceipt",
    "Corrupt",
    "Custody",
    "Defect",
    "Deleted",
    "Delivered",
    "Denied",
    "Diff",
    "Digest",
    "DirectLink",
    "ErasedContent",
    "Event",
    "Events",
    "Expiry",
    "Finding",
    "Hold",
    "Impact",
    "ImportReport",
    "Imported",
    "Invalid",
    "JournalAudit",
    "JournalExport",
    "JournalFault",
    "Lineage",
    "Link",
    "Manifest",
    "Merge",
    "MergeConflict",
    "MergedPart",
    "NewWebhook",
    "Node",
    "NotFound",
    "Operation",
    "Page",
    "Part",
    "PartConflict",
    "Pending",
    "Pointer",
    "Prepared",
    "Reader",
    "Rebuilt",
    "Receipt",
    "ReceiptCheck",
    "Ref",
    "Relation",
    "RemoteTenant",
    "Repaired",
    "Resolution",
    "Retained",
    "Retention",
    "RetentionKeep",
    "RetentionMatch",
    "RetentionPolicy",
    "RetentionPreview",
    "RetentionRule",
    "RetentionTotals",
    "Scrubbed",
    "Selector",
    "Shared",
    "Side",
    "Source",
    "Store",
    "Stored",
    "Tenant",
    "TenantState",
    "Transaction",
    "Transfer",
    "Transition",
    "Unavailable",
    "Uncollected",
    "UploadOffer",
    "Uploaded",
    "Usage",
    "UsageError",
    "Verdict",
    "Version",
    "Webhook",
    "WebhookTest",
    "connect",
    "connect_async",
]

_HOMES: Final = {
    "client": "Transfer connect connect_async",
    "client.blocking": "RemoteTenant",
    "client.tenant": "AsyncRemoteTenant",
    "collection": "Candidate Collected Uncollected",
    "direct": "DirectLink UploadOffer",
    "errors": "CasstoreError Code Conflict Corrupt Denied Invalid NotFound Unavailable UsageError",
    "formats.comparison": "Change Comparison MergeConflict",
    "model": (
        "Component Deleted Digest Hold Impact Lineage Link Manifest Node Page Pointer Relation Shared Source "
        "Stored TenantState Transition Usage Version"
    ),
    "operations.auditing": "JournalAudit JournalFault",
    "operations.defects": "AsyncCheck Checked Defect Repaired Scrubbed",
    "operations.differences": "ComponentDiff Diff Side",
    "operations.delivering": "Delivered WebhookTest",
    "operations.diffing": "Compared",
    "operations.doctor": "Finding",
    "operations.following": "Event Events",
    "operations.get": "AsyncArtifact AsyncReader",
    "operations.importing": "ImportReport Imported",
    "operations.init": "Prepared",
    "operations.journaling": "JournalExport",
    "operations.merges": "Merge MergedPart PartConflict Resolution",
    "operations.pending": "Pending",
    "operations.rebuilding": "CatalogDigest Rebuilt",
    "operations.receipts": "ContentReceipt ErasedContent Receipt ReceiptCheck",
    "operations.transaction": "AsyncTransaction",
    "operations.retaining": "Custody Expiry Retained Retention RetentionPreview RetentionTotals Verdict",
    "operations.subscribing": "NewWebhook Webhook",
    "operations.undoing": "Operation",
    "refs": "Ref Selector",
    "retention": "RetentionKeep RetentionMatch RetentionPolicy RetentionRule",
    "staging": "Components Part Uploaded",
    "store": "AsyncStore",
    "sync": "Artifact Check Reader Store Tenant Transaction",
    "tenant": "AsyncTenant",
}
_HOME_OF: Final = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import casstore` itself costs a few milliseconds."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'casstore' has no attribute {name!r}")
    value = getattr(import_module(f"casstore.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
