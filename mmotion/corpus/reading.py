"""Read the results of a corpus."""

from pathlib import Path

import pyarrow as pa
from pyarrow import dataset, parquet

from mmotion.corpus.store import list_parts


def open_results(folder: str | Path) -> dataset.Dataset:
    """The rows of a corpus as one dataset, see `mmotion.corpus.store`.

    Raises:
        FileNotFoundError: If there are none.
    """
    parts = list_parts(Path(folder))
    if not parts:
        raise FileNotFoundError(f'results must be a folder with part-*.parquet, got {folder}')
    schemas = [parquet.read_schema(part) for part in parts]
    schema = pa.unify_schemas(schemas, promote_options='permissive')
    return dataset.dataset([str(part) for part in parts], schema=schema)
