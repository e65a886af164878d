//! Lower bounds of times are strict, upper bounds are for machines that do much else.

use super::*;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;

/// Whatever is slow, this is slower.
const PATIENCE: Duration = Duration::from_secs(20);

fn network(bits_per_second: f64, milliseconds: u64) -> Network {
    Network { bits_per_second, round_trip: Duration::from_millis(milliseconds) }
}

/// A proxy in front of a peer that handles one connection on a thread.
fn start<T: Send + 'static>(
    network: Network,
    peer: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Proxy, TcpStream, thread::JoinHandle<T>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = thread::spawn(move || peer(listener.accept().unwrap().0));
    let proxy = Proxy::start(network, "127.0.0.1".to_string(), port).unwrap();
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (proxy, stream, peer)
}

/// Bytes that differ from place to place.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn a_transfer_takes_its_size_by_the_rate_and_half_a_round_trip() {
    let data = pattern(1_000_000);
    // 80 ms at the rate, and 30 ms.
    let (_proxy, mut stream, peer) = start(network(1e8, 60), |mut stream| {
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        (received, Instant::now())
    });
    let begin = Instant::now();
    stream.write_all(&data).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let (received, end) = peer.join().unwrap();
    assert!(received == data, "the data was changed");
    let seconds = (end - begin).as_secs_f64();
    assert!((0.110..5.0).contains(&seconds), "{seconds}");
}

#[test]
fn the_way_back_is_as_slow() {
    // The peer writes as soon as it is connected to.
    let begin = Instant::now();
    let (_proxy, mut stream, peer) =
        start(network(1e8, 60), |mut stream| stream.write_all(&pattern(1_000_000)).unwrap());
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    peer.join().unwrap();
    assert!(received == pattern(1_000_000), "the data was changed");
    assert!((0.110..5.0).contains(&seconds), "{seconds}");
}

#[test]
fn an_echo_takes_a_round_trip() {
    let (_proxy, mut stream, peer) = start(network(1e9, 20), |mut stream| {
        let mut byte = [0];
        while stream.read(&mut byte).unwrap() == 1 {
            stream.write_all(&byte).unwrap();
        }
    });
    let mut fastest = PATIENCE;
    for value in 0..10 {
        let begin = Instant::now();
        stream.write_all(&[value]).unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        let time = begin.elapsed();
        assert_eq!(byte, [value]);
        assert!(time >= Duration::from_millis(20), "{time:?}");
        fastest = fastest.min(time);
    }
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
    drop(stream);
    peer.join().unwrap();
}

#[test]
fn connections_share_the_rate() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = Proxy::start(network(1e8, 0), "127.0.0.1".to_string(), port).unwrap();
    let begin = Instant::now();
    let senders: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(proxy.address()).unwrap();
            thread::spawn(move || stream.write_all(&pattern(500_000)).unwrap())
        })
        .collect();
    let receivers: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = listener.accept().unwrap().0;
            thread::spawn(move || stream.read_to_end(&mut Vec::new()).unwrap())
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert!(receivers.into_iter().all(|receiver| receiver.join().unwrap() == 500_000));
    assert!(begin.elapsed() >= Duration::from_millis(80), "{:?}", begin.elapsed());
}

#[test]
fn the_end_of_either_side_reaches_the_other() {
    let (_proxy, stream, peer) = start(network(1e9, 10), |mut stream| stream.read(&mut [0]).unwrap());
    drop(stream);
    assert_eq!(peer.join().unwrap(), 0);
    let (_proxy, mut stream, peer) = start(network(1e9, 10), drop);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    peer.join().unwrap();
}

#[test]
fn a_server_that_is_not_there_ends_the_connection() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let proxy = Proxy::start(network(1e9, 1), "127.0.0.1".to_string(), port).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
}

/// The buffers are bounded.
#[test]
fn a_receiver_that_reads_nothing_stops_the_sender() {
    let (_proxy, mut stream, peer) = start(network(1e9, 0), |stream| stream);
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    // Far more than the link's share and the buffers of the operating system on both sides.
    let limit = 500_000_000;
    let chunk = vec![0; 1 << 20];
    let mut sent = 0;
    while sent < limit {
        match stream.write(&chunk) {
            Ok(length) => sent += length,
            Err(_) => break,
        }
    }
    assert!(sent < limit);
    drop(peer.join().unwrap());
}
