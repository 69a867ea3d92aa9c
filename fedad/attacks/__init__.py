"""One lie a file: what a malicious site may send in place of its bank. For simulations."""
