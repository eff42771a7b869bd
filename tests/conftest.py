"""Every tensor signature is checked at run time while the tests run."""

from jaxtyping import install_import_hook

install_import_hook(["seqgan"], "beartype.beartype")
