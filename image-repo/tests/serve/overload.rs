// SPDX-License-Identifier: Apache-2.0
//! More is asked of the server than it gives: it says when to come back, and stays right.

use crate::server::{Bench, Server, get, read};
use groundstate_api::view::Problem;
use groundstate_api::{Bytes, ReasonCode};
use image_repo::ServeConfig;
use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const IN_WORK: &str = "groundstate_image_requests_in_work";
const WINDOW: &str = "groundstate_image_window_bytes";

fn ask(server: &Server, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[test]
fn beyond_its_bounds_it_names_a_time_to_come_back() {
    let bench = Bench::new();
    let (blob, _) = bench.blob(64 << 20);
    let config = ServeConfig {
        client_requests: 3,
        ..ServeConfig::default()
    };
    let server = Server::start(&bench, config);
    let path = format!("/v1/blobs/{}", blob.hex());
    // They take nothing: more than the kernel holds for them waits in the server.
    let held: Vec<_> = (0..3).map(|_| ask(&server, &path)).collect();
    server.wait_for(IN_WORK, 3);
    let (chunk, bytes) = &bench.objects()[0];
    let refused = server.get(chunk, &[]);
    assert_eq!(refused.status, 503);
    assert_eq!(refused.fields["content-type"], "application/problem+json");
    assert_eq!(refused.fields["cache-control"], "no-store");
    let seconds: u64 = refused.fields["retry-after"].parse().unwrap();
    assert!((1..=30).contains(&seconds));
    let problem: Problem = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(problem.reason.code, ReasonCode::UnderWay);
    assert!(problem.reason.since.is_some() && problem.reason.deadline.is_some());
    assert!(!problem.reason.next_automatic.starts_with("nothing"));
    assert_eq!(
        server.number("groundstate_image_refused_total{full=\"client\"}"),
        1
    );
    drop(held);
    server.wait_for(IN_WORK, 0);
    server.wait_for(WINDOW, 0);
    assert!(server.get(chunk, &[]).body == *bytes);
}

#[test]
fn ten_times_as_many_as_it_admits_all_get_theirs_in_the_end() {
    let bench = Bench::new();
    let config = ServeConfig {
        client_requests: 4,
        client_rate: Some(Bytes::mib(40)),
        ..ServeConfig::default()
    };
    let server = Server::start(&bench, config);
    let (objects, address) = (Arc::new(bench.objects()), server.address);
    let refused = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let (objects, refused) = (Arc::clone(&objects), Arc::clone(&refused));
            std::thread::spawn(move || {
                for (path, bytes) in objects.iter().take(3) {
                    loop {
                        let answer = get(address, path, &[]);
                        if answer.status == 200 {
                            assert!(answer.body == *bytes);
                            break;
                        }
                        assert_eq!(answer.status, 503);
                        refused.fetch_add(1, Ordering::Relaxed);
                        // Sooner than it was told: a client without manners.
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    assert!(
        refused.load(Ordering::Relaxed) > 0,
        "40 at once are no overload"
    );
    server.wait_for(IN_WORK, 0);
    server.wait_for(WINDOW, 0);
}

#[test]
fn whoever_takes_too_little_loses_the_connection() {
    let bench = Bench::new();
    let (blob, bytes) = bench.blob(64 << 20);
    let config = ServeConfig {
        slow_rate: Bytes::mib(100),
        grace_seconds: 1,
        ..ServeConfig::default()
    };
    let server = Server::start(&bench, config);
    let path = format!("/v1/blobs/{}", blob.hex());
    let mut slow = ask(&server, &path);
    server.wait_for("groundstate_image_cut_off_total", 1);
    server.wait_for(IN_WORK, 0);
    server.wait_for(WINDOW, 0);
    // What the kernel had taken comes, and then the end, long before the end of the blob.
    let mut got = Vec::new();
    let ended = slow.read_to_end(&mut got);
    assert!(ended.is_err() || got.len() < bytes.len(), "{}", got.len());
    // One that takes what comes is not touched by it.
    assert!(server.get(&path, &[]).body == bytes);
}

#[test]
fn requests_one_behind_the_other_are_answered_in_order() {
    let bench = Bench::new();
    let server = Server::start(&bench, ServeConfig::default());
    let mut stream = TcpStream::connect(server.address).unwrap();
    let objects = bench.objects();
    let mut requests = String::new();
    for (path, _) in objects.iter().cycle().take(100) {
        requests += &format!("GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n");
    }
    stream.write_all(requests.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    for (path, bytes) in objects.iter().cycle().take(100) {
        assert!(read(&mut reader).body == *bytes, "{path}");
    }
    let all = objects.iter().cycle().take(100);
    let chunks: usize = all
        .filter(|(path, _)| path.contains("chunks"))
        .map(|(_, bytes)| bytes.len())
        .sum();
    let sent = server.number("groundstate_image_sent_bytes_total{kind=\"chunk\"}");
    assert_eq!(sent, chunks as u64);
}

#[test]
fn a_cap_holds_and_large_blobs_come_whole() {
    let bench = Bench::new();
    let (blob, bytes) = bench.blob(5 << 20);
    let config = ServeConfig {
        total_rate: Some(Bytes::mib(20)),
        memory: Bytes(1),
        ..ServeConfig::default()
    };
    let server = Server::start(&bench, config);
    let path = format!("/v1/blobs/{}", blob.hex());
    let both: Vec<_> = (0..2)
        .map(|_| {
            let (address, path) = (server.address, path.clone());
            std::thread::spawn(move || get(address, &path, &[]).body)
        })
        .collect();
    let began = std::time::Instant::now();
    for each in both {
        assert!(each.join().unwrap() == bytes);
    }
    // 10 MiB at 20 MiB/s, less what the bucket holds at first and one piece that may be owed: it cannot be faster.
    assert!(began.elapsed() > Duration::from_millis(250));
    let text = String::from_utf8(server.get("/metrics", &[]).body).unwrap();
    assert!(
        text.contains("groundstate_image_turn_seconds_bucket"),
        "{text}"
    );
}
