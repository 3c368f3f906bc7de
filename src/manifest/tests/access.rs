//! What `deploy/rbac.yaml` grants and `deploy/fence.yaml` covers.

use k8s_openapi::api::{
    admissionregistration::v1::{
        NamedRuleWithOperations, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    },
    coordination::v1::Lease,
    core::v1::ConfigMap,
    flowcontrol::v1::FlowSchema,
    rbac::v1::{ClusterRole, PolicyRule, Role},
};
use rstest::rstest;

use lease_election::{
    fence::{BEHIND, IN_FORCE, Policy},
    settings::LeaseName,
};

use super::*;
use crate::{
    access::{
        FENCE, Guard, LEASE, LENIENT_FENCE, NAMESPACE, OF_LENIENT, RIGHTS, Reach, Right,
        SERVICE_ACCOUNT,
    },
    leader::{self, HOLDER_POD_ANNOTATION, SETTINGS},
    manifest::{fence_yaml, flow_schema_yaml, rbac_yaml},
};

fn lease(name: &str, namespace: &str) -> LeaseName {
    LeaseName::new(name, namespace, &SETTINGS).unwrap()
}

fn policy() -> ValidatingAdmissionPolicy {
    of_fence(FENCE)
}

fn binding() -> ValidatingAdmissionPolicyBinding {
    of_fence(FENCE)
}

/// The object of kind `T` and this name.
fn of_fence<T: DeserializeOwned + Resource<DynamicType = ()>>(name: &str) -> T {
    let found = documents("fence.yaml")
        .into_iter()
        .find(|document| document["kind"] == *T::kind(&()) && document["metadata"]["name"] == name);
    serde_json::from_value(found.unwrap()).unwrap()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The rights that pass `filter`, as rules of a role.
fn rules(filter: fn(&Right) -> bool) -> Vec<PolicyRule> {
    let rule = |right: &Right| PolicyRule {
        api_groups: Some(owned(&[right.group])),
        resources: Some(owned(&[right.resource])),
        resource_names: (!right.names.is_empty()).then(|| owned(right.names)),
        verbs: owned(right.verbs),
        non_resource_urls: None,
    };
    RIGHTS
        .iter()
        .filter(|right| filter(right))
        .map(rule)
        .collect()
}

#[rstest]
#[case::rbac("rbac.yaml", rbac_yaml())]
#[case::fence("fence.yaml", fence_yaml(&lease(LEASE, NAMESPACE)))]
#[case::flow_schema("flow-schema.yaml", flow_schema_yaml(NAMESPACE))]
fn the_committed_manifests_are_those_that_the_list_of_rights_gives(
    #[case] name: &str,
    #[case] rendered: String,
) {
    assert!(
        read(name) == rendered,
        "deploy/{name} differs from src/access.rs; `just generate` renders it anew"
    );
}

#[test]
fn the_fence_of_another_lease_names_that_and_no_other() {
    let text = fence_yaml(&lease("another", "elsewhere"));
    assert!(!text.contains(NAMESPACE) && !text.contains(LEASE), "{text}");
    let back = text
        .replace("elsewhere", NAMESPACE)
        .replace("another", LEASE);
    assert_eq!(back, fence_yaml(&lease(LEASE, NAMESPACE)));
}

#[test]
fn the_lease_that_the_fence_goes_by_is_there_from_the_start_and_says_nothing() {
    let lease: Lease = object("fence.yaml");
    let parameter = binding().spec.unwrap().param_ref.unwrap();
    assert_eq!(lease.metadata.name, parameter.name);
    assert_eq!(lease.metadata.namespace, parameter.namespace);
    assert_eq!(lease.spec, None, "applying it again must not end a term");
    assert_eq!(lease.metadata.annotations, None);
}

#[test]
fn the_priority_is_for_every_call_about_leases_that_the_account_may_make_and_for_no_other() {
    let schema: FlowSchema = object("flow-schema.yaml");
    let spec = schema.spec.unwrap();
    assert_eq!(spec.priority_level_configuration.name, "leader-election");
    let precedence = spec.matching_precedence.unwrap();
    assert!((900..9000).contains(&precedence), "{precedence}");
    let [rules] = spec.rules.unwrap().try_into().unwrap();
    let [subject] = rules.subjects.try_into().unwrap();
    let account = subject.service_account.unwrap();
    assert_eq!(
        (account.namespace.as_str(), account.name.as_str()),
        (NAMESPACE, SERVICE_ACCOUNT)
    );
    assert_eq!(rules.non_resource_rules, None);
    let [rule] = rules.resource_rules.unwrap().try_into().unwrap();
    assert_eq!(rule.api_groups, ["coordination.k8s.io"]);
    assert_eq!(rule.resources, ["leases"]);
    assert_eq!(rule.namespaces, Some(owned(&[NAMESPACE])));
    let rights: Role = object("rbac.yaml");
    let granted = rights.rules.unwrap().into_iter();
    let granted: Vec<_> = granted
        .filter(|rule| rule.resources == Some(owned(&["leases"])))
        .flat_map(|rule| rule.verbs)
        .collect();
    assert_eq!(rule.verbs, granted);
}

#[test]
fn the_priority_in_another_namespace_names_that_and_no_other() {
    let text = flow_schema_yaml("elsewhere");
    assert!(!text.contains(NAMESPACE), "{text}");
    assert_eq!(
        text.replace("elsewhere", NAMESPACE),
        flow_schema_yaml(NAMESPACE)
    );
}

#[test]
fn the_roles_grant_each_right_where_it_reaches() {
    let role: Role = object("rbac.yaml");
    assert_eq!(role.metadata.namespace.as_deref(), Some(NAMESPACE));
    assert_eq!(
        role.rules.unwrap(),
        rules(|right| right.reach == Reach::OwnNamespace)
    );
    let role: ClusterRole = object("rbac.yaml");
    assert_eq!(
        role.rules.unwrap(),
        rules(|right| right.reach == Reach::Cluster)
    );
}

#[test]
fn what_is_granted_is_what_the_operator_does_and_no_more() {
    let plural = ScheduledMachine::plural(&());
    let status = format!("{plural}/status");
    let finalizers = format!("{plural}/finalizers");
    let leases = "coordination.k8s.io";
    let watched: &[&str] = &["get", "list", "watch"];
    let owned: &[&str] = &["get", "list", "watch", "create", "delete"];
    let changed: &[&str] = &["get", "list", "watch", "patch"];
    let machines: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];
    let expected: [(&str, &str, &[&str], &[&str]); 17] = [
        (leases, "leases", &[], &["create"]),
        (
            leases,
            "leases",
            &[LEASE],
            &["get", "list", "watch", "update"],
        ),
        ("", "pods", &[], watched),
        ("", "configmaps", &[FENCE], &["patch"]),
        ("", "configmaps", &[LENIENT_FENCE], &["patch"]),
        (GROUP, &plural, &[], changed),
        (GROUP, &finalizers, &[], &["update"]),
        (GROUP, &status, &[], &["patch"]),
        ("cluster.x-k8s.io", "machines", &[], machines),
        ("bootstrap.cluster.x-k8s.io", "*", &[], owned),
        ("infrastructure.cluster.x-k8s.io", "*", &[], owned),
        ("k0smotron.io", "*", &[], owned),
        ("", "secrets", &[], &["get"]),
        ("", "nodes", &[], changed),
        ("", "pods", &[], &["list"]),
        ("", "pods/eviction", &[], &["create"]),
        ("events.k8s.io", "events", &[], &["create", "patch"]),
    ];
    let granted =
        RIGHTS.map(|right: Right| (right.group, right.resource, right.names, right.verbs));
    assert_eq!(granted, expected);
}

#[test]
fn the_fence_covers_every_way_to_make_a_work_write_and_nothing_else() {
    for (name, guard) in [(FENCE, Guard::Strict), (LENIENT_FENCE, Guard::Lenient)] {
        let policy: ValidatingAdmissionPolicy = of_fence(name);
        let constraints = policy.spec.unwrap().match_constraints.unwrap();
        let expected: Vec<_> = RIGHTS
            .iter()
            .filter(|right| right.guard == guard)
            .map(|right| NamedRuleWithOperations {
                api_groups: Some(owned(&[right.group])),
                api_versions: Some(owned(&["*"])),
                resources: Some(owned(&[right.resource])),
                resource_names: (!right.names.is_empty()).then(|| owned(right.names)),
                operations: Some(owned(&["CREATE", "UPDATE", "DELETE"])),
                scope: Some("*".to_owned()),
            })
            .collect();
        assert_eq!(constraints.resource_rules, Some(expected));
        assert_eq!(constraints.exclude_resource_rules, None);
        assert_eq!(constraints.namespace_selector, None);
        assert_eq!(constraints.object_selector, None);
    }
}

#[test]
fn what_others_write_too_is_refused_to_nobody_where_it_cannot_be_told_who_leads() {
    let lenient: ValidatingAdmissionPolicy = of_fence(LENIENT_FENCE);
    let (lenient, strict) = (json!(lenient.spec), json!(policy().spec));
    assert_eq!(lenient["failurePolicy"], "Ignore");
    for same in ["matchConditions", "paramKind", "variables", "validations"] {
        assert_eq!(lenient[same], strict[same], "{same}");
    }
    let bound: ValidatingAdmissionPolicyBinding = of_fence(LENIENT_FENCE);
    let (bound, strict) = (json!(bound.spec), json!(binding().spec));
    assert_eq!(bound["policyName"], LENIENT_FENCE);
    assert_eq!(bound["validationActions"], strict["validationActions"]);
    let (params, strict) = (&bound["paramRef"], &strict["paramRef"]);
    assert_eq!(params["parameterNotFoundAction"], "Allow");
    assert_eq!(params["name"], strict["name"]);
    assert_eq!(params["namespace"], strict["namespace"]);
}

#[test]
fn neither_a_lease_nor_an_event_is_ever_fenced() {
    let constraints = policy().spec.unwrap().match_constraints.unwrap();
    for rule in constraints.resource_rules.unwrap() {
        let (groups, resources) = (rule.api_groups.unwrap(), rule.resources.unwrap());
        let unfenced = ["*", "coordination.k8s.io", "events.k8s.io", "events"];
        let is_one = |word: &String| unfenced.contains(&word.as_str());
        assert!(
            !is_one(&groups[0]) && !is_one(&resources[0]),
            "{groups:?} {resources:?}"
        );
    }
}

#[test]
fn the_fence_is_about_the_account_of_the_pods_and_no_other_user() {
    let account = pod_spec().service_account_name.unwrap();
    assert_eq!(account, SERVICE_ACCOUNT);
    let conditions = policy().spec.unwrap().match_conditions.unwrap();
    let [condition] = conditions.try_into().unwrap();
    let user = format!("'system:serviceaccount:5spot-system:{account}'");
    let expected = format!("request.userInfo.username == {user}");
    assert_eq!(condition.expression, expected);
}

#[test]
fn the_fence_asks_the_lease_that_the_pods_contend_for() {
    let lease = env()["LEASE_NAME"].value.clone().unwrap();
    assert_eq!([lease.as_str(), &default_of("lease_name")], [LEASE, LEASE]);
    let kind = json!(policy().spec.unwrap().param_kind);
    let expected = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"});
    assert_eq!(kind, expected);
    let params = json!(binding().spec.unwrap().param_ref);
    assert_eq!(params["name"], LEASE);
    assert_eq!(params["namespace"], json!(deployment().metadata.namespace));
    assert_eq!(params["selector"], Value::Null);
}

#[test]
fn the_fence_refuses_whatever_it_cannot_tell() {
    let (policy, binding) = (policy(), binding());
    assert_eq!(json!(policy.spec)["failurePolicy"], "Fail");
    assert_eq!(binding.metadata.name, policy.metadata.name);
    let binding = json!(binding.spec);
    assert_eq!(binding["policyName"], json!(policy.metadata.name));
    assert_eq!(binding["validationActions"], json!(["Deny"]));
    assert_eq!(binding["matchResources"], Value::Null);
    assert_eq!(binding["paramRef"]["parameterNotFoundAction"], "Deny");
}

#[test]
fn a_refusal_is_one_that_the_operator_recognizes() {
    assert_eq!(policy().metadata.name.as_deref(), Some(FENCE));
    let validations = policy().spec.unwrap().validations.unwrap();
    let told = validations
        .into_iter()
        .map(|told| (told.reason, told.message));
    // 403 is a decision and 422 is none, and the first that denies is the one that is told.
    let expected = [
        ("Invalid", BEHIND),
        ("Forbidden", "only the holder of the Lease may write"),
        ("Forbidden", IN_FORCE),
    ];
    assert_eq!(json!(told.collect::<Vec<_>>()), json!(expected));
}

#[test]
fn the_object_that_each_policy_is_tested_on_is_deployed_with_it() {
    let probe = default_of("fence_probe");
    for (policy, name) in [
        (Policy::Strict, probe.clone()),
        (Policy::Lenient, format!("{probe}{OF_LENIENT}")),
    ] {
        let probe: ConfigMap = of_fence(&name);
        assert_eq!(probe.metadata.namespace, deployment().metadata.namespace);
        assert_eq!(probe.data, None);
        let policy: ValidatingAdmissionPolicy = of_fence(leader::policies().of(policy));
        let constraints = policy.spec.unwrap().match_constraints.unwrap();
        let mut rules = constraints.resource_rules.unwrap().into_iter();
        assert!(rules.any(|rule| rule.resource_names == Some(vec![name.clone()])));
    }
}

/// What the API server makes of these expressions is seen on a real one, by e2e/tests/failover/fence.rs.
#[test]
fn the_pod_is_compared_by_the_annotation_that_the_holder_writes() {
    let text = read("fence.yaml");
    assert_eq!(text.matches(HOLDER_POD_ANNOTATION).count(), 6);
}
