"""Every tensor signature is checked at run time while the tests run."""

from jaxtyping import install_import_hook

import tests.runtime_types  # noqa: F401  (the hook below finds it by name)

install_import_hook(["seqgan"], "tests.runtime_types.check")
