//! A token's form says nothing: whatever may stand in a header is sent as it is and judged by what
//! comes back; what may not is refused before any call.

use std::sync::Arc;

use hetzner_sim::{Access, Simulator, SimulatorConfig, journal::Filter};
use nodeyard_adapters::hetzner::{HetznerProvider, key};
use nodeyard_domain::{connection::Permission, observation::FailureClass};
use nodeyard_engine::provider::ProviderCheck as _;
use nodeyard_testkit::secrets::MemorySecrets;
use secrecy::SecretString;

#[tokio::test]
async fn only_what_is_no_header_value_is_refused_without_a_call() {
    let longest = "x".repeat(512);
    let every: String = (b'!'..=b'~').map(char::from).collect();
    let shapes = ["x", "=", "Bearer", "a.b-c_d~e+f/g", &every, &longest];
    let mut config = SimulatorConfig::default().standing_clock();
    for (number, token) in shapes.iter().enumerate() {
        let (name, access) = (format!("token-{number}"), [Access::ReadWrite, Access::ReadOnly]);
        config = config.token(&name, token, access[number % 2], &format!("project-{number}"));
    }
    let simulator = Simulator::start(config).await.unwrap();
    let secrets = Arc::new(MemorySecrets::deployed());
    let provider = HetznerProvider::new(&simulator.endpoint(), secrets).unwrap();
    let (_, public_key) = key::new_key_pair("nodeyard main v1").unwrap();
    let check = async |token: &str| {
        provider.check_token(&SecretString::from(token), "key", &public_key, None).await
    };
    for (number, token) in shapes.iter().enumerate() {
        let expected = [Permission::ReadWrite, Permission::ReadOnly][number % 2];
        assert_eq!(check(token).await.unwrap().permission, expected, "{token}");
        // The same form with another last character is another token, and refused by the provider.
        let other = format!("{}?", &token[..token.len() - 1]);
        let failure = check(&other).await.unwrap_err();
        assert_eq!(
            (failure.class, failure.code.as_str()),
            (FailureClass::Unauthorized, "unauthorized")
        );
    }
    let calls = simulator.journal(&Filter::default()).len();
    for token in ["", "a b", "a\r\nx: y", "a\n", "\0", "a\t", "ä", "𝕏", "a\u{7f}"] {
        let failure = check(token).await.unwrap_err();
        assert_eq!(failure.code, "token_malformed", "{token:?}");
        assert!(token.is_empty() || !failure.message.contains(token), "{failure:?}");
    }
    assert_eq!(simulator.journal(&Filter::default()).len(), calls);
}
