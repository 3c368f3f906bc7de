//! A kubeconfig out of a Secret: what is accepted, and the client that is made of it.

use std::{fmt, sync::Arc};

use kube::{
    Client, Config,
    config::{AuthInfo, Cluster, KubeConfigOptions, Kubeconfig},
};

/// How a client is made of a configuration. Tests give one that goes elsewhere.
#[derive(Clone)]
pub struct Connect(Arc<dyn Fn(Config) -> Result<Client, kube::Error> + Send + Sync>);

/// Why a kubeconfig is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum KubeconfigError {
    /// It can't be read. The parser's words would repeat lines of it, which may be credentials.
    #[error("the kubeconfig can't be read; what is wrong is not shown, as it may be a secret")]
    Unreadable,
    /// It has a field that would be run, read from a file, or weaken the connection.
    #[error("the kubeconfig sets {0}, and only inline credentials are accepted")]
    Refused(&'static str),
    /// No client can be made of it.
    #[error("no client can be made of the kubeconfig")]
    Client(#[source] kube::Error),
}

impl Connect {
    /// By `connect`.
    pub fn by(
        connect: impl Fn(Config) -> Result<Client, kube::Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(connect))
    }

    pub(super) async fn to(&self, kubeconfig: &[u8]) -> Result<Client, KubeconfigError> {
        let config = read(kubeconfig).await?;
        (self.0)(config).map_err(KubeconfigError::Client)
    }
}

impl Default for Connect {
    fn default() -> Self {
        Self::by(Client::try_from)
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").finish_non_exhaustive()
    }
}

async fn read(text: &[u8]) -> Result<Config, KubeconfigError> {
    let text = String::from_utf8_lossy(text);
    let kubeconfig = Kubeconfig::from_yaml(&text).map_err(|_secret| KubeconfigError::Unreadable)?;
    if let Some(field) = refused(&kubeconfig) {
        return Err(KubeconfigError::Refused(field));
    }
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|_secret| KubeconfigError::Unreadable)?;
    // To an eviction that a budget forbids the API server answers with "Retry-After: 10": waited for inside of the
    // client, that answer would never be heard.
    config.default_retry = false;
    Ok(config)
}

fn refused(kubeconfig: &Kubeconfig) -> Option<&'static str> {
    let users = kubeconfig
        .auth_infos
        .iter()
        .filter_map(|user| user.auth_info.as_ref());
    let clusters = kubeconfig
        .clusters
        .iter()
        .filter_map(|cluster| cluster.cluster.as_ref());
    users
        .filter_map(refused_of_user)
        .chain(clusters.filter_map(refused_of_cluster))
        .next()
}

fn refused_of_user(user: &AuthInfo) -> Option<&'static str> {
    [
        ("exec", user.exec.is_some()),
        ("auth-provider", user.auth_provider.is_some()),
        ("tokenFile", user.token_file.is_some()),
        ("client-certificate", user.client_certificate.is_some()),
        ("client-key", user.client_key.is_some()),
    ]
    .into_iter()
    .find_map(|(field, is_set)| is_set.then_some(field))
}

fn refused_of_cluster(cluster: &Cluster) -> Option<&'static str> {
    [
        (
            "certificate-authority",
            cluster.certificate_authority.is_some(),
        ),
        ("proxy-url", cluster.proxy_url.is_some()),
        (
            "insecure-skip-tls-verify",
            cluster.insecure_skip_tls_verify == Some(true),
        ),
    ]
    .into_iter()
    .find_map(|(field, is_set)| is_set.then_some(field))
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy;
    use rstest::rstest;

    use super::*;

    fn text(cluster: &str, user: &str) -> String {
        format!(
            r#"{{"apiVersion": "v1", "kind": "Config", "current-context": "c",
                "contexts": [{{"name": "c", "context": {{"cluster": "k", "user": "u"}}}}],
                "clusters": [{{"name": "k", "cluster": {{"server": "https://192.0.2.1:6443"{cluster}}}}}],
                "users": [{{"name": "u", "user": {{{user}}}}}]}}"#
        )
    }

    #[tokio::test]
    async fn inline_credentials_are_taken() {
        let config = read(text("", r#""token": "t""#).as_bytes()).await.unwrap();
        assert_eq!(config.cluster_url.host(), Some("192.0.2.1"));
    }

    #[tokio::test]
    async fn what_the_api_server_asks_to_be_tried_later_is_heard_at_once() {
        let config = read(text("", r#""token": "t""#).as_bytes()).await.unwrap();
        assert!(!config.default_retry);
    }

    #[rstest]
    #[case(r#""exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "id"}"#)]
    #[case(r#""auth-provider": {"name": "gcp", "config": {}}"#)]
    #[case(r#""tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token""#)]
    #[case(r#""client-certificate": "/etc/x""#)]
    #[case(r#""client-key": "/etc/x""#)]
    #[case(r#", "certificate-authority": "/etc/x""#)]
    #[case(r#", "proxy-url": "http://192.0.2.2""#)]
    #[case(r#", "insecure-skip-tls-verify": true"#)]
    #[tokio::test]
    async fn whatever_would_be_run_or_read_here_is_refused_by_its_name(#[case] added: &str) {
        // What begins with a comma goes to the cluster, behind its server.
        let of_cluster = added.starts_with(',');
        let (cluster, user) = if of_cluster { (added, "") } else { ("", added) };
        let field = added.split('"').nth(1).unwrap();
        let error = read(text(cluster, user).as_bytes()).await.unwrap_err();
        let expected = format!("the kubeconfig sets {field}, and only inline");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_secret_holds_is_read_or_refused(text in proptest::prop_oneof![
            proptest::collection::vec(proptest::num::u8::ANY, 0..64),
            "[-a-zA-Z:{}\\[\\], \n&*!]{0,64}".prop_map(String::into_bytes),
        ]) {
            let _read_or_refused = futures::FutureExt::now_or_never(read(&text));
        }
    }

    #[tokio::test]
    async fn an_error_does_not_repeat_what_may_be_a_secret() {
        let broken = text("", r#""token": {"value": "s3cr3t"}"#);
        let error = read(broken.as_bytes()).await.unwrap_err();
        let told = crate::errors::Chain(&error).to_string();
        assert!(!told.contains("s3cr3t"), "{told}");
        assert!(matches!(error, KubeconfigError::Unreadable));
    }

    #[tokio::test]
    async fn nonsense_is_an_error() {
        for text in [&b"\xff\xfe"[..], b"", b"[]", b"{\"clusters\": 1}"] {
            assert!(read(text).await.is_err());
        }
    }
}
