from . import emulator as emulator
from . import errors as errors
from . import spark as spark
from .client import Client as Client
from .dashboard import charts as charts
from .emulator import Emulator as Emulator
from .errors import (
    APIError as APIError,
)
from .errors import (
    AuthError as AuthError,
)
from .errors import (
    ConfigError as ConfigError,
)
from .errors import (
    DestinationError as DestinationError,
)
from .errors import (
    GuardError as GuardError,
)
from .errors import (
    PaginationError as PaginationError,
)
from .errors import (
    ScenarioError as ScenarioError,
)
from .errors import (
    SchemaError as SchemaError,
)
from .errors import (
    TransientError as TransientError,
)
from .extract import (
    export_collections as export_collections,
)
from .extract import (
    extract_collections as extract_collections,
)
from .extract import (
    scan as scan,
)
from .lake_reader import (
    changes as changes,
)
from .lake_reader import (
    history as history,
)
from .lake_reader import (
    read_snapshot as read_snapshot,
)
from .projects import project_ids as project_ids
from .run import ScanReport as ScanReport
from .scans import Scan as Scan
from .signed_urls import signed_url_expiry as signed_url_expiry
from .snapshots import (
    SnapshotReport as SnapshotReport,
)
from .snapshots import (
    snapshot as snapshot,
)
from .thumbnails import fetch_thumbnails as fetch_thumbnails

__version__: str
