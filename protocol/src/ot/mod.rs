//! Oblivious transfer: base transfers, extension, and random pads (`docs/protocol.md`, section 5).
