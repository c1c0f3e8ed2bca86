//! `POST /nodes`: parse, admit, accept.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use nodeyard_domain::{
    acceptance,
    audit::{Action, Outcome},
    connection::Connection,
    id::{JobId, NodeId},
    spec::default_ladder,
};
use nodeyard_engine::store::{Acceptance, ApiStore, JobStore};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    acceptance::{Offer, accepted},
    body::{self, Draft, NewNode},
    cap,
    view::{Accepted, PriceView, RungView},
};
use crate::{
    app::{App, Ports, Shared},
    auth::{Caller, Operator},
    body::JsonBody,
    catalogue::{ADMISSION_MAX_AGE, LIVE_MAX_AGE},
    code::ApiCode,
    idempotency::SentKey,
    paging::Params,
    placement::{PricedRung, hold_ceiling, price_default_ladder, price_ladder},
    problem::Problem,
    request::Origin,
};

const ROUTE: &str = "POST /nodes";

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CreateQuery {
    /// Say which rung would win now and what it costs; accept nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What `?dry_run=true` answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct DryRun {
    /// The first rung that is in stock and was not refused lately; `null` when none is.
    winner: Option<PricedRungView>,
    /// The ladder as it would be tried, without the rungs above `max_price`.
    ladder: Vec<PricedRungView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PricedRung)]
pub struct PricedRungView {
    #[serde(flatten)]
    rung: RungView,
    price: Option<PriceView>,
    available: bool,
}

impl From<&PricedRung> for PricedRungView {
    fn from(priced: &PricedRung) -> Self {
        Self {
            rung: RungView::from(&priced.rung),
            price: priced.price.as_ref().map(PriceView::from),
            available: priced.available,
        }
    }
}

/// Ask for a node. It is acquired, configured and proved by a job.
#[utoipa::path(
    post, path = "/nodes", tag = "nodes",
    params(
        CreateQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters, bare or quoted. The same key and body give the same job for as long as the job is kept."),
        ("traceparent" = Option<String>, Header, description = "W3C Trace Context; kept on the job."),
    ),
    request_body = NewNode,
    responses(
        (status = 202, description = "Accepted", body = Accepted,
            headers(("Location" = String, description = "The job"), ("Retry-After" = u32))),
        (status = 200, description = "The answer to a dry run", body = DryRun),
    )
)]
pub async fn create_node<P: Ports>(
    State(app): State<Shared<P>>,
    Operator(caller): Operator,
    Params(query): Params<CreateQuery>,
    key: SentKey,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let made_name = || Ok(format!("node-{:08x}", app.random()? as u32));
    let draft = body::draft(&body, made_name, &app.settings)?;
    let record = key.record(&caller.token.id, ROUTE, &body);
    if !query.dry_run
        && let Some(first) = app.replay(record.as_ref()).await?
    {
        return Ok(accepted(&first.job, &first.node));
    }
    let connection = connection_for(&app, &caller, &draft).await?;
    let node_id = NodeId::from_bits(app.random()?);
    let ladder = price(&app, &connection, &draft, query.dry_run).await?;
    if query.dry_run {
        cap::check(&app, &connection, &node_id, &ladder).await?;
        return Ok(Json(dry_run(&app, &connection, &ladder).await?).into_response());
    }

    cap::reserve(&app, &connection, &node_id, &ladder).await?;
    let price = ladder.first().and_then(|rung| rung.price.clone());
    let (job, mut node) = acceptance::provision(
        JobId::from_bits(app.random()?),
        node_id,
        draft.into_spec(connection.name, ladder),
        caller.actor(),
        origin.traceparent.clone(),
        app.now(),
    );
    node.price = price;
    let audit = app.audit(&caller, &origin, Action::NodeCreate, &node.id, Outcome::Accepted);
    let work =
        Acceptance { job, new_node: Some(node), may_queue: false, idempotency: record, audit };
    match app.offer(work).await? {
        Offer::Taken(loaded) => Ok(accepted(&loaded.job, &loaded.node)),
        Offer::Busy(_) => Err(Problem::new(ApiCode::NodeBusy, "Another job is open on the node.")),
    }
}

/// The connection to acquire from: the one named, or the only one there is.
async fn connection_for<P: Ports>(
    app: &App<P>,
    caller: &Caller,
    draft: &Draft,
) -> Result<Connection, Problem> {
    let mut visible = app.store.connections().await?;
    visible.retain(|connection| caller.sees(&connection.name));
    let connection = match &draft.connection {
        Some(name) => visible
            .into_iter()
            .find(|connection| connection.name == *name)
            .ok_or_else(|| not_connected(format!("There is no connection {name}.")))?,
        None if visible.len() > 1 => {
            let names: Vec<&str> = visible.iter().map(|one| one.name.as_str()).collect();
            let detail = format!("one of: {}", names.join(", "));
            return Err(Problem::at("/connection", ApiCode::ConnectionRequired, &detail));
        }
        None => visible
            .into_iter()
            .next()
            .ok_or_else(|| not_connected("No provider is connected.".to_owned()))?,
    };
    if connection.accepts_nodes() {
        return Ok(connection);
    }
    let problem = not_connected(format!("The connection {} takes no new nodes.", connection.name));
    Err(match connection.reason {
        Some(reason) => problem.guided(reason.guidance()),
        None => problem,
    })
}

fn not_connected(detail: String) -> Problem {
    Problem::new(ApiCode::ProviderNotConnected, detail).guided(
        "Connect a provider with PUT /providers/{name}; GET /providers shows what is wrong.",
    )
}

/// The rung that would win now: in stock, and not refused lately.
async fn dry_run<P: Ports>(
    app: &App<P>,
    connection: &Connection,
    ladder: &[PricedRung],
) -> Result<DryRun, Problem> {
    let now = app.now();
    let pace = app.store.pace(&connection.name, now).await?;
    let winner = ladder
        .iter()
        .find(|priced| priced.available && pace.refusal(&priced.rung, now).is_none())
        .map(PricedRungView::from);
    Ok(DryRun { winner, ladder: ladder.iter().map(PricedRungView::from).collect() })
}

/// Holds the draft against what is for sale and its ceiling.
async fn price<P: Ports>(
    app: &App<P>,
    connection: &Connection,
    draft: &Draft,
    dry_run: bool,
) -> Result<Vec<PricedRung>, Problem> {
    let max_age = if dry_run { LIVE_MAX_AGE } else { ADMISSION_MAX_AGE };
    let catalogue = app.catalogue(connection, max_age).await?.catalogue;
    let ladder = match &draft.placement {
        Some(ladder) => price_ladder(ladder, &catalogue)?,
        None => price_default_ladder(&default_ladder(), &catalogue)?,
    };
    hold_ceiling(ladder, draft.max_price)
}
