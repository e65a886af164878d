//! What one client may take from the others, and clients that stall or vanish.

use std::time::Duration;

use tacit_model_server::Limits;
use tacit_proto::Reason;
use tacit_proto::limits::MESSAGE_BYTES;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{TestServer, assert_reason, eventually, limits};

#[tokio::test]
async fn sessions_are_limited_for_each_call_and_connection() {
    let limits = Limits { sessions_per_call: 3, sessions_per_connection: 4, ..limits() };
    let server = TestServer::with(limits).await;
    let client = server.client().await;
    assert_reason(client.prepare(4).await.map(drop), Reason::Capacity);
    let mut sessions = client.prepare(3).await.unwrap();
    assert_reason(client.prepare(2).await.map(drop), Reason::Capacity);
    // Another connection has an allowance of its own, and using a session gives its place back.
    server.client().await.prepare(3).await.unwrap();
    client.infer(sessions.pop().unwrap(), &[0.0; 4]).await.unwrap();
    client.prepare(2).await.unwrap();
    server.assert_serves().await;
}

#[tokio::test]
async fn a_full_store_refuses_new_sessions() {
    let probe = TestServer::start().await;
    probe.client().await.prepare(1).await.unwrap();
    let bytes = probe.handle.occupancy().bytes;

    let server = TestServer::with(Limits { session_memory: 2 * bytes, ..limits() }).await;
    let client = server.client().await;
    let mut sessions = client.prepare(2).await.unwrap();
    assert_reason(client.prepare(1).await.map(drop), Reason::Capacity);
    client.infer(sessions.pop().unwrap(), &[0.0; 4]).await.unwrap();
    // The size of a session is known by now, so a batch that does not fit is refused before any work.
    assert_reason(client.prepare(2).await.map(drop), Reason::Capacity);
    client.prepare(1).await.unwrap();
    client.infer(sessions.pop().unwrap(), &[0.0; 4]).await.unwrap();
    server.assert_serves().await;
}

#[tokio::test]
async fn a_client_that_stalls_is_told_so() {
    let server = TestServer::with(Limits { idle_timeout: Duration::from_millis(400), ..limits() }).await;
    let client = server.client().await;
    let call = client.preprocess().await;
    call.send(client.start(1).1.swap_remove(0));
    assert_reason(call.end().await, Reason::Timeout);
    let call = client.online().await;
    call.send(client.prepare_requests().await.swap_remove(0));
    assert_reason(call.end().await, Reason::Timeout);
    server.assert_serves().await;
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing_behind() {
    let one = Limits { preprocess_calls: 1, online_calls: 1, ..limits() };
    let server = TestServer::with(one).await;
    for _ in 0..3 {
        let client = server.client().await;
        let call = client.preprocess().await;
        client.start(1).1.into_iter().for_each(|message| call.send(message));
        drop((call, client));
        let running = server.handle.clone();
        eventually(|| running.running_calls() == 0).await;

        let client = server.client().await;
        let messages = client.prepare_requests().await;
        let call = client.online().await;
        messages.into_iter().take(1).for_each(|message| call.send(message));
        eventually(|| server.handle.occupancy().sessions == 0).await;
        drop((call, client));
        eventually(|| running.running_calls() == 0).await;
    }
    server.assert_serves().await;
    assert_eq!(server.handle.occupancy().bytes, 0);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let limits = Limits { connections: 1, idle_timeout: Duration::from_millis(400), ..limits() };
    let server = TestServer::with(limits).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    // There is room for one connection only: this one waits until the silent one is gone.
    server.assert_serves().await;
    let mut received = Vec::new();
    let _ = silent.read_to_end(&mut received).await;
}

#[tokio::test]
async fn calls_are_limited() {
    let one = Limits { preprocess_calls: 1, online_calls: 1, ..limits() };
    let server = TestServer::with(one).await;
    let client = server.client().await;
    let (first, second) = (client.preprocess().await, client.stubs.clone().preprocess(tokio_stream::empty()).await);
    assert_reason(second.map(drop), Reason::Capacity);
    drop(first);
    let (first, second) = (client.online().await, client.stubs.clone().online(tokio_stream::empty()).await);
    assert_reason(second.map(drop), Reason::Capacity);
    drop(first);
    let running = server.handle.clone();
    eventually(|| running.running_calls() == 0).await;
    server.assert_serves().await;
}

#[tokio::test]
async fn a_message_needs_few_frames_and_no_permission_to_go_on() {
    const SETTINGS: u8 = 4;
    let server = TestServer::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let empty_settings = [0, 0, 0, SETTINGS, 0, 0, 0, 0, 0];
    stream.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &empty_settings].concat()).await.unwrap();
    // The server's first frame says what a client may send.
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], SETTINGS);
    let mut settings = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    stream.read_exact(&mut settings).await.unwrap();
    let value = |identifier: [u8; 2]| {
        let entries = settings.as_chunks::<6>().0.iter();
        let mut values = entries.filter(|entry| entry[..2] == identifier);
        values.next().map(|entry| u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]))
    };
    const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
    const MAX_FRAME_SIZE: [u8; 2] = [0, 5];
    assert!(value(INITIAL_WINDOW_SIZE).unwrap() as usize >= 2 * MESSAGE_BYTES);
    assert!(value(MAX_FRAME_SIZE).unwrap() as usize >= MESSAGE_BYTES / 4);
}
