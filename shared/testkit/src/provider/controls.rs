//! What tests do to the cloud past the port: plant faults, change tokens and limits, and act as a
//! second actor in the project.

use std::collections::BTreeMap;

use hetzner_sim::{
    Access,
    actor::{AutoActor, Deed},
    settings::Settings,
    world::{
        Twist, World, catalogue,
        operation::{Change, Kind, Operation, Reply},
        primary_ip::PrimaryIp,
        stock::Supply,
    },
};

use super::{Books, CreateFault, MemoryProvider, PROJECT, TOKEN};

impl MemoryProvider {
    /// Queues a fault for the next create that has none.
    pub fn fault(&self, fault: CreateFault) {
        self.cloud().planted.push_back(fault);
    }

    /// No call is answered, and none takes effect.
    pub fn set_down(&self, down: bool) {
        self.cloud().is_down = down;
    }

    /// Every call is refused with `maintenance`.
    pub fn set_maintenance(&self, on: bool) {
        self.cloud().is_in_maintenance = on;
    }

    /// The next calls are answered 429, whatever the budget.
    pub fn throttle(&self, calls: u32) {
        self.cloud().throttle_next = calls;
    }

    /// The token opens a project, or another one from here on.
    pub fn add_token(&self, secret: &str, project: &str, access: Access) {
        self.cloud().add_token(secret, project, access);
    }

    /// The token opens nothing, or what it opened before.
    pub fn revoke(&self, secret: &str, revoked: bool) {
        self.cloud().revoke_token(secret, revoked);
    }

    /// [`TOKEN`] opens nothing, or what it opened before.
    pub fn revoke_token(&self, revoked: bool) {
        self.revoke(TOKEN, revoked);
    }

    /// Makes [`TOKEN`] stand for one of another project, which sees nothing of ours. Calls that have
    /// begun with it go on in the project it was of.
    pub fn hide_marker(&self, hidden: bool) {
        let project = if hidden { "another" } else { PROJECT };
        self.cloud().change_token(TOKEN, |token| token.project = project.to_owned());
    }

    /// Makes [`TOKEN`] one that can only read.
    pub fn read_only(&self, read_only: bool) {
        let access = if read_only { Access::ReadOnly } else { Access::ReadWrite };
        self.cloud().change_token(TOKEN, |token| token.access = access);
    }

    /// How many of a type can be had in a location.
    ///
    /// # Panics
    /// When there is no such type or location.
    pub fn set_stock(&self, server_type: &str, location: &str, supply: Supply) {
        let size = catalogue::server_type(server_type).expect("a server type");
        let place = catalogue::location(location).expect("a location");
        self.cloud().world.stock_mut().set(size.id, place.id, supply);
    }

    /// The most servers the project may hold.
    pub fn limit_servers(&self, limit: Option<u32>) {
        self.change_settings(|settings| settings.limits.servers = limit);
    }

    /// The rate budget: the most that can be saved up, and what comes back each second.
    pub fn set_rate(&self, limit: u32, refill_per_sec: f64) {
        self.change_settings(|settings| {
            settings.rate.limit = limit;
            settings.rate.refill_per_sec = refill_per_sec;
        });
    }

    /// How long actions take from here on, in seconds.
    pub fn set_times(&self, create_secs: f64, start_secs: f64, delete_secs: f64) {
        self.change_settings(|settings| {
            settings.times.create_secs = create_secs;
            settings.times.start_secs = start_secs;
            settings.times.delete_secs = delete_secs;
        });
    }

    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut cloud = self.cloud();
        let mut settings = cloud.world.settings().clone();
        change(&mut settings);
        cloud.world.set_settings(settings);
    }

    /// A second actor does something. False when it could not.
    pub fn act(&self, deed: &Deed) -> bool {
        self.cloud().change(|world| deed.perform(world, &[]).is_ok())
    }

    /// A second actor that stirs by itself.
    pub fn set_auto_actor(&self, actor: Option<AutoActor>) {
        self.cloud().world.set_auto_actor(actor);
    }

    /// A second actor takes a name in the project.
    pub fn take_name(&self, name: &str) -> u64 {
        self.take_name_as(name, BTreeMap::new())
    }

    /// The same, with labels, which may look like ours.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn take_name_as(&self, name: &str, labels: BTreeMap<String, String>) -> u64 {
        let project = PROJECT.to_owned();
        let deed = Deed::TakeName { project, name: name.to_owned(), labels };
        assert!(self.act(&deed), "the name {name} cannot be taken");
        self.look(|world| {
            let project = world.find_project(PROJECT).expect("the project");
            world.server_named(project, name).expect("a server").id
        })
    }

    /// A second actor uses up requests of the project's budget; all there are for `None`.
    pub fn drain_budget(&self, requests: Option<u32>) {
        self.act(&Deed::EatBudget { project: PROJECT.to_owned(), requests });
    }

    /// A second actor protects a server from deletion, or lifts that. False when it could not.
    pub fn protect(&self, server: u64, on: bool) -> bool {
        let project = PROJECT.to_owned();
        self.act(&Deed::Protect { project, server: server.to_string(), on })
    }

    /// A second actor deletes a server behind our back. False when it could not.
    pub fn remove_server(&self, server: u64) -> bool {
        self.act(&Deed::Delete { project: PROJECT.to_owned(), server: server.to_string() })
    }

    /// A second actor replaces a server's labels. False when it could not.
    pub fn relabel(&self, server: u64, labels: BTreeMap<String, String>) -> bool {
        let project = PROJECT.to_owned();
        self.act(&Deed::Relabel { project, server: server.to_string(), labels })
    }

    /// A second actor switches a server off. False when it could not.
    pub fn power_off(&self, server: u64) -> bool {
        self.act(&Deed::PowerOff { project: PROJECT.to_owned(), server: server.to_string() })
    }

    /// A second actor deletes an SSH key. False when it could not.
    pub fn remove_key(&self, id: u64) -> bool {
        self.act(&Deed::DeleteSshKey { project: PROJECT.to_owned(), ssh_key: id.to_string() })
    }

    /// A second actor has a server's Primary IPs outlive it.
    pub fn keep_ips(&self, server: u64) {
        let ips: Vec<u64> = self.look(|world| {
            let ips = world.server(server).map(|server| [server.ipv4, server.ipv6]);
            ips.into_iter().flatten().flatten().collect()
        });
        for ip in ips {
            let change = Change { auto_delete: Some(false), ..Change::default() };
            self.perform(&Operation::Update(Kind::PrimaryIp, ip, change));
        }
    }

    /// Does something in the project past the port.
    pub fn perform(&self, operation: &Operation) -> Option<Reply> {
        self.cloud().change(|world| {
            let project = world.project(PROJECT);
            world.perform(project, operation, &Twist::default()).ok()
        })
    }

    /// Looks at the world behind the port.
    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.cloud().world)
    }

    /// The Primary IPs there are.
    pub fn primary_ips(&self) -> Vec<PrimaryIp> {
        self.look(|world| world.primary_ips().cloned().collect())
    }

    /// The placement groups there are, and how many servers each holds.
    pub fn groups(&self) -> BTreeMap<u64, usize> {
        self.look(|world| {
            world.placement_groups().map(|it| (it.id, world.members(it.id).len())).collect()
        })
    }

    /// When something happens in the cloud next, in milliseconds of the epoch.
    pub fn next_due_millis(&self) -> Option<i64> {
        self.look(World::next_due)
    }

    pub fn books(&self) -> Books {
        self.cloud().ledger.books()
    }
}
