//! What has to be true of the template, each as a sentence about a resource where it is not.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Longest that a template may be when it comes from the bucket, in bytes (quota of CloudFormation).
pub const MOST_BYTES: usize = 1_000_000;
/// Longest that any log is kept, in days; as long as a job.
const RETENTION_DAYS: u64 = 90;

/// The alarms that there have to be: a name, what it looks at, and of whom.
const ALARMS: &[(&str, &str, &str, &str)] = &[
    ("DeadLetters", "AWS/SQS", "ApproximateNumberOfMessagesVisible", "WakeDeadLetters"),
    ("StaleWakes", "AWS/SQS", "ApproximateAgeOfOldestMessage", "WakeQueue"),
    ("LateJobs", "Nodeyard", "OldestDueJobAge", "Deployment"),
    ("ApiErrors", "AWS/Lambda", "Errors", "ApiFunction"),
    ("WorkerErrors", "AWS/Lambda", "Errors", "WorkerFunction"),
    ("HealthErrors", "AWS/Lambda", "Errors", "HealthFunction"),
    ("SweepMissing", "AWS/Lambda", "Invocations", "HealthFunction"),
    ("ApiServerErrors", "AWS/ApiGateway", "5xx", "HttpApi"),
    ("ApiThrottles", "AWS/Lambda", "Throttles", "ApiFunction"),
    ("WorkerThrottles", "AWS/Lambda", "Throttles", "WorkerFunction"),
    ("HealthThrottles", "AWS/Lambda", "Throttles", "HealthFunction"),
    ("TableReadThrottles", "AWS/DynamoDB", "ReadThrottleEvents", "Table"),
    ("TableWriteThrottles", "AWS/DynamoDB", "WriteThrottleEvents", "Table"),
    ("ProviderNotConnected", "Nodeyard", "ConnectionsNotConnected", "Deployment"),
    ("Orphans", "Nodeyard", "OrphansOpen", "Deployment"),
    ("CleanupPending", "Nodeyard", "NodesCleanupPending", "Deployment"),
];

/// Everything that is not as it has to be.
pub fn findings(template: &Value) -> Vec<String> {
    let mut found = Findings { template, found: Vec::new() };
    found.queue();
    found.table();
    found.gateway();
    found.functions();
    found.schedules();
    found.logs();
    found.network();
    found.task();
    found.alarms();
    found.dashboard();
    found.outputs();
    found.found
}

struct Findings<'a> {
    template: &'a Value,
    found: Vec<String>,
}

impl<'a> Findings<'a> {
    fn hold(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.found.push(what.into());
        }
    }

    fn resource(&self, name: &str) -> &'a Value {
        &self.template["Resources"][name]
    }

    fn of(&self, name: &str) -> &'a Value {
        &self.resource(name)["Properties"]
    }

    fn of_type(&self, kind: &str) -> Vec<(&'a str, &'a Value)> {
        let all = self.template["Resources"].as_object().into_iter().flatten();
        let of_type = all.filter(|(_, resource)| resource["Type"] == kind);
        of_type.map(|(name, resource)| (name.as_str(), &resource["Properties"])).collect()
    }

    fn queue(&mut self) {
        let queue = self.of("WakeQueue");
        let redrive = &queue["RedrivePolicy"];
        let target = &redrive["deadLetterTargetArn"];
        self.hold(*target == json!({"GetAtt": "WakeDeadLetters.Arn"}), "WakeQueue: no redrive");
        let tries = redrive["maxReceiveCount"].as_u64().unwrap_or(0);
        self.hold((3..=10).contains(&tries), "WakeQueue: redrive too soon or too late");
        let worker = self.of("WorkerFunction")["Timeout"].as_u64().unwrap_or(u64::MAX / 6);
        let visibility = queue["VisibilityTimeout"].as_u64().unwrap_or(0);
        self.hold(visibility >= 6 * worker, "WakeQueue: visible again too soon");
        let days = |queue: &Value| queue["MessageRetentionPeriod"].as_u64().unwrap_or(0) / 86_400;
        let letters = self.of("WakeDeadLetters");
        self.hold(days(letters) == 14, "WakeDeadLetters: not kept for 14 days");
        for (name, queue) in self.of_type("AWS::SQS::Queue") {
            self.hold(queue["SqsManagedSseEnabled"] == true, format!("{name}: not encrypted"));
        }
        let source = self.of("WorkerWakes");
        let single = source["FunctionResponseTypes"] == json!(["ReportBatchItemFailures"]);
        self.hold(single, "WorkerWakes: a bad record fails its batch");
        let most = source["ScalingConfig"]["MaximumConcurrency"].as_u64().unwrap_or(0);
        self.hold((2..=1000).contains(&most), "WorkerWakes: no maximum concurrency");
    }

    fn table(&mut self) {
        let table = self.of("Table");
        let retained = |value: &Value| *value == json!({"If": ["RetainsData", true, false]});
        self.hold(retained(&table["DeletionProtectionEnabled"]), "Table: not protected");
        let recovery = &table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        self.hold(retained(recovery), "Table: no point-in-time recovery");
        let default = &self.template["Parameters"]["RetainData"]["Default"];
        self.hold(default == "true", "RetainData: off unless asked for");
        let expiry = json!({ "AttributeName": "expires_at", "Enabled": true });
        self.hold(table["TimeToLiveSpecification"] == expiry, "Table: nothing expires");
        self.hold(table["BillingMode"] == "PAY_PER_REQUEST", "Table: not on demand");
        self.hold(table["SSESpecification"]["SSEEnabled"] == true, "Table: not encrypted");
        // Without them what is on record is lost, or servers cannot be proved ours any more.
        for name in ["Table", "DeploymentKey", "EvidenceKey"] {
            let kept = self.resource(name)["DeletionPolicy"] == "RetainExceptOnCreate"
                && self.resource(name)["UpdateReplacePolicy"] == "Retain";
            self.hold(kept, format!("{name}: goes with the stack"));
        }
        let kinds = ["AWS::SQS::Queue", "AWS::Logs::LogGroup", "AWS::SecretsManager::Secret"];
        for kind in kinds {
            for (name, _) in self.of_type(kind) {
                let said = self.resource(name)["DeletionPolicy"].is_string();
                self.hold(said, format!("{name}: does not say whether it goes with the stack"));
            }
        }
    }

    fn gateway(&mut self) {
        let stage = self.of("HttpApiStage");
        let settings = &stage["DefaultRouteSettings"];
        let limits = ["ThrottlingBurstLimit", "ThrottlingRateLimit"]
            .map(|name| settings[name].as_u64().unwrap_or(0));
        self.hold(limits.iter().all(|it| (1..=1000).contains(it)), "HttpApiStage: no throttling");
        let log = &stage["AccessLogSettings"];
        let to_logs = log["DestinationArn"] == json!({"GetAtt": "HttpApiLogs.Arn"});
        self.hold(to_logs, "HttpApiStage: no access log");
        let format = log["Format"].as_str().unwrap_or_default();
        for field in ["requestId", "requestTimeEpoch", "httpMethod", "status", "responseLatency"] {
            let there = format.contains(&format!("$context.{field}"));
            self.hold(there, format!("HttpApiStage: no {field} in the access log"));
        }
        let open = ["$context.path", "authorizer", "identity"];
        let says_too_much = open.iter().any(|it| format.contains(it));
        self.hold(!says_too_much, "HttpApiStage: the access log says what callers sent");
        let routes = self.of_type("AWS::ApiGatewayV2::Route");
        let one = routes.len() == 1 && routes.iter().all(|(_, it)| it["RouteKey"] == "$default");
        self.hold(one, "HttpApiRoute: not the one $default route");
        let waits = self.of("HttpApiIntegration")["TimeoutInMillis"].as_u64().unwrap_or(0);
        let api = self.of("ApiFunction")["Timeout"].as_u64().unwrap_or(u64::MAX / 1000);
        self.hold(waits > api * 1000, "HttpApiIntegration: gives up before the function");
    }

    fn functions(&mut self) {
        let globals = &self.template["Globals"]["Function"];
        self.hold(globals["Runtime"] == "provided.al2023", "Globals: another runtime");
        let chosen = globals["Architectures"] == json!([{"Ref": "Architecture"}]);
        self.hold(chosen, "Globals: the architecture cannot be chosen");
        let architecture = &self.template["Parameters"]["Architecture"];
        let as_said = architecture["Default"] == "arm64"
            && architecture["AllowedValues"] == json!(["arm64", "x86_64"]);
        self.hold(as_said, "Architecture: not arm64 unless x86_64 is asked for");
        let functions = self.of_type("AWS::Serverless::Function");
        self.hold(functions.len() == 3, "functions: not three");
        for (name, function) in functions {
            let timeout = function["Timeout"].as_u64().unwrap_or(0);
            self.hold((1..=900).contains(&timeout), format!("{name}: no time-out"));
            let role = name.replace("Function", "Role");
            let own = function["Role"] == json!({ "GetAtt": format!("{role}.Arn") });
            self.hold(own, format!("{name}: not its own role"));
            let logs = json!({"Ref": name.replace("Function", "Logs")});
            let group = &function["LoggingConfig"]["LogGroup"];
            self.hold(*group == logs, format!("{name}: not its own log group"));
        }
    }

    fn schedules(&mut self) {
        let rates: BTreeMap<&str, &str> = self
            .of_type("AWS::Scheduler::Schedule")
            .into_iter()
            .map(|(name, it)| (name, it["ScheduleExpression"].as_str().unwrap_or_default()))
            .collect();
        let wanted = [("CheckSchedule", "rate(5 minutes)"), ("SweepSchedule", "rate(1 minute)")];
        self.hold(rates == BTreeMap::from(wanted), format!("schedules: {rates:?}"));
    }

    fn logs(&mut self) {
        let groups = self.of_type("AWS::Logs::LogGroup");
        self.hold(groups.len() == 5, "log groups: not five");
        for (name, group) in groups {
            let days = group["RetentionInDays"].as_u64().unwrap_or(u64::MAX);
            self.hold(days <= RETENTION_DAYS, format!("{name}: kept for ever, or too long"));
        }
    }

    fn network(&mut self) {
        let all = self.template["Resources"].as_object().into_iter().flatten();
        for (name, resource) in all {
            let kind = resource["Type"].as_str().unwrap_or_default();
            let of_network = kind.starts_with("AWS::EC2::");
            let conditional = resource["Condition"] == "MakesNetwork";
            let there = !of_network || conditional;
            self.hold(there, format!("{name}: made although a network is given"));
            let costs = ["NatGateway", "EIP", "VPCEndpoint", "Instance"];
            self.hold(
                !costs.iter().any(|it| kind == format!("AWS::EC2::{it}")),
                format!("{name}: costs"),
            );
        }
        let asked = json!({"Equals": [{"Ref": "Subnets"}, ""]});
        let condition = &self.template["Conditions"]["MakesNetwork"];
        self.hold(*condition == asked, "MakesNetwork: not when no subnets are given");
        self.hold(self.template["Rules"].is_object(), "Rules: half a network can be given");
        for (name, group) in self.of_type("AWS::EC2::SecurityGroup") {
            let inward = &group["SecurityGroupIngress"];
            self.hold(inward.is_null(), format!("{name}: takes connections"));
            let outward = group["SecurityGroupEgress"].as_array().cloned().unwrap_or_default();
            let ports: Vec<_> =
                outward.iter().map(|it| (it["FromPort"].as_u64(), it["ToPort"].as_u64())).collect();
            let needed = [(Some(22), Some(22)), (Some(443), Some(443))];
            self.hold(ports == needed, format!("{name}: not SSH and HTTPS alone outwards"));
        }
        let loose = self.of_type("AWS::EC2::SecurityGroupIngress");
        self.hold(loose.is_empty(), "SecurityGroupIngress: takes connections");
        let subnets = self.of_type("AWS::EC2::Subnet");
        self.hold(subnets.len() == 2, "subnets: not two");
        let routes = self.of_type("AWS::EC2::SubnetRouteTableAssociation");
        for (name, subnet) in subnets {
            let given = subnet["MapPublicIpOnLaunch"] == false;
            self.hold(given, format!("{name}: gives whatever lands there a public address"));
            let out = routes.iter().any(|(_, it)| it["SubnetId"] == json!({"Ref": name}));
            self.hold(out, format!("{name}: no route out"));
        }
        let out = self.of("RouteOut");
        let open = out["GatewayId"] == json!({"Ref": "InternetGateway"})
            && out["DestinationCidrBlock"] == "0.0.0.0/0";
        self.hold(open, "RouteOut: leads nowhere");
        let variables = &self.template["Globals"]["Function"]["Environment"]["Variables"];
        for (name, own) in [
            ("NODEYARD_TASK_SUBNETS", json!({"Sub": "${SubnetA},${SubnetB}"})),
            ("NODEYARD_TASK_SECURITY_GROUPS", json!({"Ref": "TaskSecurityGroup"})),
        ] {
            let either = &variables[name]["If"];
            let used = either[0] == "MakesNetwork" && either[1] == own;
            self.hold(used, format!("{name}: not of the network that is made"));
        }
    }

    fn task(&mut self) {
        let task = self.of("TaskDefinition");
        let processor = task["RuntimePlatform"]["CpuArchitecture"] == "X86_64";
        self.hold(processor, "TaskDefinition: not x86-64");
        let fargate = task["RequiresCompatibilities"] == json!(["FARGATE"]);
        self.hold(fargate && task["NetworkMode"] == "awsvpc", "TaskDefinition: not Fargate");
        self.hold(task["Volumes"] == json!([{"Name": "scratch"}]), "TaskDefinition: volumes");
        let containers = task["ContainerDefinitions"].as_array().cloned().unwrap_or_default();
        self.hold(containers.len() == 1, "TaskDefinition: not one container");
        for container in containers {
            let root = container["ReadonlyRootFilesystem"] == true;
            self.hold(root, "TaskDefinition: the root file system can be written");
            let user = container["User"].as_str().unwrap_or("0");
            self.hold(!user.starts_with('0') && user != "root", "TaskDefinition: runs as root");
            let mounts = container["MountPoints"].as_array().map_or(0, Vec::len);
            self.hold(mounts == 1, "TaskDefinition: more than one place to write");
            let secrets = &container["Secrets"];
            self.hold(secrets.is_null(), "TaskDefinition: secrets in its environment");
            self.hold(container["Privileged"] != true, "TaskDefinition: privileged");
        }
        let pattern = &self.of("TaskStopped")["EventPattern"];
        let stopped = pattern["detail"]["lastStatus"] == json!(["STOPPED"]);
        let ours = pattern["detail"]["clusterArn"] == json!([{"GetAtt": "Cluster.Arn"}]);
        self.hold(stopped && ours, "TaskStopped: not our tasks' end");
    }

    fn alarms(&mut self) {
        let alarms = self.of_type("AWS::CloudWatch::Alarm");
        self.hold(alarms.len() == ALARMS.len(), format!("{} alarms", alarms.len()));
        let told =
            json!({"If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]});
        for (name, space, metric, of) in ALARMS {
            let alarm = self.of(&format!("{name}Alarm"));
            let watched = alarm["Namespace"] == *space && alarm["MetricName"] == *metric;
            let dimension = alarm["Dimensions"][0]["Value"].to_string();
            let one = alarm["Dimensions"].as_array().is_some_and(|it| it.len() == 1);
            let about =
                dimension.contains(&format!("\"{of}\"")) || dimension.contains(&format!("\"{of}."));
            self.hold(watched && one && about, format!("{name}Alarm: does not watch {metric}"));
            let said = alarm["AlarmDescription"].as_str().unwrap_or_default();
            let anchor = anchor(name);
            let leads = said.ends_with(&format!(". Run-book: {anchor}"));
            self.hold(leads, format!("{name}Alarm: leads to no {anchor}"));
            self.hold(alarm["AlarmActions"] == told, format!("{name}Alarm: tells nobody"));
            let quiet = if *name == "SweepMissing" { "breaching" } else { "notBreaching" };
            let silence = alarm["TreatMissingData"] == quiet;
            self.hold(silence, format!("{name}Alarm: takes silence for something else"));
        }
    }

    fn dashboard(&mut self) {
        let body = self.of("Dashboard")["DashboardBody"]["Sub"].as_str().unwrap_or_default();
        let Ok(body) = serde_json::from_str::<Value>(body) else {
            self.hold(false, "Dashboard: not JSON");
            return;
        };
        let text = body.to_string();
        for (name, ..) in ALARMS {
            let shown = text.contains(&format!("${{{name}Alarm.Arn}}"));
            self.hold(shown, format!("Dashboard: no {name}Alarm"));
        }
        for metric in FIGURES {
            // Inside a search the quotes are a text's.
            let shown = [format!("\"{metric}\""), format!("\\\"{metric}\\\"")];
            let there = shown.iter().any(|it| text.contains(it));
            self.hold(there, format!("Dashboard: no {metric}"));
        }
    }

    fn outputs(&mut self) {
        for name in ["ApiUrl", "TableName", "BootstrapSecretName", "EvidenceKeyArn", "DashboardUrl"]
        {
            let there = self.template["Outputs"][name]["Description"].is_string();
            self.hold(there, format!("Outputs: no {name}"));
        }
    }
}

/// The figures of our own.
const FIGURES: &[&str] = &[
    "AcceptTime",
    "StepTime",
    "QueueAge",
    "ProviderCalls",
    "BudgetLeft",
    "TimeToReady",
    "JobsEnded",
    "OldestDueJobAge",
    "ConnectionsNotConnected",
    "OrphansOpen",
    "NodesCleanupPending",
];

/// The section of the run-book that an alarm leads to: `DeadLetters` → `alarm-dead-letters`.
pub fn anchor(alarm: &str) -> String {
    let mut anchor = "alarm".to_owned();
    for letter in alarm.chars() {
        if letter.is_ascii_uppercase() {
            anchor.push('-');
        }
        anchor.push(letter.to_ascii_lowercase());
    }
    anchor
}
