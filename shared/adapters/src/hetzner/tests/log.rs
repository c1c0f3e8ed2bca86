//! Nothing secret may be printed or logged, at any level.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn calls_are_logged_without_token_body_or_answer() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    let _guard = tracing::subscriber::set_default(subscriber.with_ansi(false).finish());
    let mut answer = json!({"server": server_json(9), "action": {"id": 1}});
    answer["root_password"] = "very-secret-password".into();
    let world = calls(vec![
        ("POST /servers", Reply::Json(201, answer)),
        ("GET /servers/9", gone()),
        (MARKER, marker()),
        ("DELETE /servers/9", Reply::Drop),
    ])
    .await;
    world.provider.create_server(&world.connection, &create_body()).await.unwrap();
    assert_eq!(world.provider.server(&world.connection, 9).await, Ok(Lookup::Absent));
    world.provider.delete_server(&world.connection, 9).await.unwrap_err();
    world.listener.requests();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for secret in [OLD, "very-private", "very-secret-password"] {
        assert!(!log.contains(secret), "{log}");
    }
    let events: Vec<&str> =
        log.lines().filter(|line| line.contains("nodeyard_adapters::hetzner")).collect();
    let told =
        |words: &[&str]| events.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(told(&["INFO", "POST", "/servers", "status=201", "corr-1"]), "{events:#?}");
    assert!(told(&["INFO", "GET", "/servers/{id}", "status=404"]), "{events:#?}");
    assert!(told(&["INFO", "DELETE", "code=\"connection\""]), "{events:#?}");
}

#[tokio::test]
async fn the_provider_prints_as_its_name() {
    let world = world(Scenario::NoCall).await;
    assert_eq!(format!("{:?}", world.provider), "HetznerProvider { .. }");
    world.listener.requests();
}
