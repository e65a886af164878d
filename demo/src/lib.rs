//! Server and client in one program, over real gRPC on a free port of the loopback interface.

pub mod bundled;
pub mod images;
pub mod last_place;
pub mod local_server;
pub mod pixels;
