//! Judging a token, and what is for sale. As the real adapter does it.

use hetzner_sim::world::{
    World, catalogue,
    label::Selector,
    operation::{Change, Kind, ListQuery, Operation, Reply, SshKeyDraft},
    ssh_key,
};
use jiff::Timestamp;
use nodeyard_domain::{
    connection::{ManagedKey, Permission},
    observation::{FailureClass, ProviderFailure},
    ownership::LABEL_DEPLOYMENT,
};
use nodeyard_engine::provider::{Catalogue, Offer, ProviderCheck, Survey, TokenReport};
use secrecy::SecretString;

use super::{
    MemoryProvider,
    session::Line,
    view::{self, Named},
};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// Calls that a check makes at most.
const CALLS: i64 = 5;
/// Net, a month: the simulator's price of a Primary IPv4.
const PRIMARY_IPV4_MONTHLY: f64 = 0.5;

impl ProviderCheck for MemoryProvider {
    async fn check_token(
        &self,
        token: &SecretString,
        key_name: &str,
        public_key: &str,
        known: Option<&ManagedKey>,
    ) -> Result<TokenReport> {
        let fingerprint = known
            .map(|known| known.fingerprint.clone())
            .or_else(|| ssh_key::fingerprint(public_key))
            .ok_or_else(|| {
                let class = FailureClass::Invalid;
                ProviderFailure::new(class, "invalid_key", "no OpenSSH public key")
            })?;
        let line = &mut Line::new(self, token.clone(), CALLS);
        let marker = match known {
            Some(known) => see(line, known).await?,
            None => None,
        };
        let sees_marker = marker.is_some();
        let found = match marker {
            Some(marker) => Some(marker),
            None => by_fingerprint(line, &fingerprint).await?,
        };
        let (permission, id) = match found {
            Some(found) => {
                let id = found.id;
                (judge(write_again(line, found).await), Some(id))
            }
            None if known.is_some() => (Permission::Unknown, None),
            None => match create(line, key_name, public_key).await {
                Ok(id) => (Permission::ReadWrite, Some(id)),
                Err(failure) => (judge(Err(failure)), None),
            },
        };
        let key = id.map(|provider_id| ManagedKey {
            version: known.map_or(1, |known| known.version),
            provider_id,
            fingerprint,
            public_key: public_key.trim().to_owned(),
        });
        Ok(TokenReport { permission, rate_budget: line.rate_budget, key, sees_marker })
    }

    async fn sees_server(&self, token: &SecretString, server_id: u64) -> Result<bool> {
        let line = &mut Line::new(self, token.clone(), 1);
        match line.send(&Operation::Get(Kind::Server, server_id), view::nothing).await {
            Ok(()) => Ok(true),
            Err(failure) if failure.class == FailureClass::NotFound => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn survey(&self, token: &SecretString, deployment: &str) -> Result<Survey> {
        let line = &mut Line::new(self, token.clone(), 2);
        let listed = |selector: Option<Selector>| {
            Operation::List(Kind::Server, ListQuery { selector, ..ListQuery::default() })
        };
        let (_, total) = line.send(&listed(None), view::servers).await?;
        let selector = format!("{LABEL_DEPLOYMENT},{LABEL_DEPLOYMENT}!={deployment}");
        let others = listed(Selector::parse(&selector).ok());
        let (found, _) = line.send(&others, view::servers).await?;
        let other = found.iter().find_map(|found| found.labels.get(LABEL_DEPLOYMENT));
        Ok(Survey { servers: Some(total as u64), other_deployment: other.cloned() })
    }

    async fn catalogue(&self, token: &SecretString) -> Result<Catalogue> {
        Line::new(self, token.clone(), 1).send(&Operation::Pricing, for_sale).await
    }
}

async fn see(line: &mut Line<'_>, known: &ManagedKey) -> Result<Option<Named>> {
    match line.send(&Operation::Get(Kind::SshKey, known.provider_id), view::keys).await {
        Ok(keys) => Ok(keys.into_iter().next()),
        Err(failure) if failure.class == FailureClass::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn by_fingerprint(line: &mut Line<'_>, fingerprint: &str) -> Result<Option<Named>> {
    let fingerprint = Some(fingerprint.to_owned());
    let query = ListQuery { fingerprint, ..ListQuery::default() };
    let keys = line.send(&Operation::List(Kind::SshKey, query), view::keys).await?;
    Ok(keys.into_iter().next())
}

/// Writes to a key what it already has.
async fn write_again(line: &mut Line<'_>, key: Named) -> Result<()> {
    let change = Change { name: Some(key.name), labels: Some(key.labels), auto_delete: None };
    line.send(&Operation::Update(Kind::SshKey, key.id, change), view::nothing).await
}

async fn create(line: &mut Line<'_>, name: &str, public_key: &str) -> Result<u64> {
    let draft = SshKeyDraft {
        name: name.to_owned(),
        public_key: public_key.to_owned(),
        labels: std::collections::BTreeMap::new(),
    };
    let made = line.send(&Operation::CreateSshKey(draft), view::keys).await?;
    made.first().map(|key| key.id).ok_or_else(view::unreadable)
}

/// What a write has shown. Only the provider's own word makes a token read-only.
fn judge(written: Result<()>) -> Permission {
    match written {
        Ok(()) => Permission::ReadWrite,
        Err(failure) if matches!(failure.code.as_str(), "token_readonly" | "forbidden") => {
            Permission::ReadOnly
        }
        Err(_) => Permission::Unknown,
    }
}

fn for_sale(world: &World, _: &Reply) -> Catalogue {
    let offers = catalogue::SERVER_TYPES.iter().flat_map(|size| {
        size.locations.iter().filter_map(move |name| {
            let place = catalogue::location(name)?;
            Some(Offer {
                server_type: size.name.to_owned(),
                location: place.name.to_owned(),
                architecture: size.architecture.to_owned(),
                cores: size.cores,
                memory_gb: size.memory_gb,
                disk_gb: u64::from(size.disk_gb),
                available: world.stock().is_listed(size, place),
                deprecated: size.deprecation.is_some(),
                unavailable_after: size.deprecation.as_ref().and_then(|deprecation| {
                    Timestamp::from_millisecond(deprecation.unavailable_after).ok()
                }),
                monthly_net: Some(size.monthly_at(name) as f64 / 10_000.0),
            })
        })
    });
    let locations = catalogue::LOCATIONS.iter().map(|place| place.name.to_owned());
    let images = catalogue::IMAGES.iter().filter(|image| image.deprecated.is_none());
    let mut images: Vec<String> = images.map(|image| image.name.to_owned()).collect();
    images.dedup();
    Catalogue {
        currency: "EUR".to_owned(),
        offers: offers.collect(),
        primary_ipv4_monthly_net: locations
            .clone()
            .map(|name| (name, PRIMARY_IPV4_MONTHLY))
            .collect(),
        locations: locations.collect(),
        images,
    }
}
