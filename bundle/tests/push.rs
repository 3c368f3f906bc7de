//! Pushes to a real registry, docker-registry, which `just bundle-push-test` finds or unpacks. It fails where that is not
//! there: a test that passes without a registry would show nothing.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the clippy settings for tests do not reach the functions beside them"
)]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bundle_check::files::Files;
use five_spot_bundle::{
    oci::{ContainerSettings, Entry, Image, ImageOptions, artifact},
    publish::{CYCLONEDX, Named},
    push::{Pusher, RegistryAuth, Target},
};
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
};

/// A registry of its own, which ends with the test.
struct Registry {
    process: Child,
    address: String,
    _place: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        // One that has ended by itself needs no end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn registry() -> Registry {
    let program = std::env::var("BUNDLE_REGISTRY")
        .expect("BUNDLE_REGISTRY names the registry; `just bundle-push-test` sets it");
    let place = tempfile::tempdir().unwrap();
    // The port is free again when the registry asks for it.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let config = place.path().join("config.yaml");
    let folder = place.path().join("data");
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
        folder.display()
    );
    std::fs::write(&config, text).unwrap();
    let process = Command::new(&program)
        .arg("serve")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let registry = Registry {
        process,
        address,
        _place: place,
    };
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(&registry.address)
            .await
            .is_ok()
        {
            return registry;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the registry did not come up within 10 s");
}

fn named() -> Named {
    let entry = Entry {
        path: "manifests/a.yaml".to_owned(),
        content: b"a: 1\n".to_vec(),
        is_program: false,
    };
    let options = ImageOptions {
        architecture: "amd64".to_owned(),
        created: jiff::Timestamp::UNIX_EPOCH,
        settings: ContainerSettings::default(),
        annotations: [].into(),
    };
    Named {
        what: "bundle".to_owned(),
        repository: "ghcr.io/finos/5spot-bundle".to_owned(),
        tag: "v1".to_owned(),
        image: Image::new(vec![entry], options).unwrap(),
    }
}

fn pusher(registry: &Registry) -> Pusher {
    Pusher::new(Target {
        registry: registry.address.clone(),
        is_plain_http: true,
        auth: RegistryAuth::Anonymous,
    })
    .unwrap()
}

fn client() -> Client {
    Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    })
}

#[tokio::test]
async fn what_is_pushed_has_the_digest_that_it_was_written_with_and_its_bill_of_materials() {
    let registry = registry().await;
    let (named, pusher) = (named(), pusher(&registry));
    let digest = named.image.digest();
    let reference = pusher.push(&named).await.unwrap();
    assert_eq!(
        reference,
        format!("{}/finos/5spot-bundle@{digest}", registry.address)
    );

    let by_tag: Reference = format!("{}/finos/5spot-bundle:v1", registry.address)
        .parse()
        .unwrap();
    let found = client()
        .fetch_manifest_digest(&by_tag, &RegistryAuth::Anonymous)
        .await
        .unwrap();
    assert_eq!(found, digest);

    let about_it = |media_type, content: &[u8]| {
        let created = jiff::Timestamp::UNIX_EPOCH;
        artifact(media_type, content.to_vec(), created, &named.image).unwrap()
    };
    let bom = about_it(CYCLONEDX, b"{}\n");
    let another = about_it("text/plain", b"x");
    // Twice, as when a push is repeated.
    for one in [&bom, &another, &bom] {
        pusher.attach(&named, one).await.unwrap();
    }
    let subject: Reference = reference.parse().unwrap();
    let all = client().pull_referrers(&subject, None).await.unwrap();
    let digests: Vec<_> = all
        .manifests
        .iter()
        .map(|one| one.digest.as_str())
        .collect();
    assert_eq!(digests, [bom.digest(), another.digest()]);
}

/// The workspace, with a bundle that names the image of a binary that is no operator.
fn workspace(binary: &Path) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let (from, to) = (
        Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        place.path(),
    );
    for folder in ["deploy", "bundle/base", "bundle/releases"] {
        let files = Files::read(&from.join(folder)).unwrap();
        files.write(&to.join(folder), &[]).unwrap();
    }
    for same in [
        ".ci",
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "e2e",
        "election",
        "bundle/Cargo.toml",
        "bundle/check",
        "bundle/src",
    ] {
        std::os::unix::fs::symlink(from.canonicalize().unwrap().join(same), to.join(same)).unwrap();
    }
    run(&["pin"], to, binary);
    place
}

/// What `bundle` prints.
fn run(arguments: &[&str], root: &Path, binary: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bundle"))
        .args(arguments)
        .arg("--root")
        .arg(root)
        .arg("--binary")
        .arg(binary)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn all_three_images_are_pushed_under_their_tags_each_with_its_bill_of_materials() {
    let registry = registry().await;
    let binary = tempfile::NamedTempFile::new().unwrap();
    // The header of a program for amd64, which is all that is looked at.
    let mut program = b"\x7fELF\x02\x01".to_vec();
    program.resize(18, 0);
    program.extend([62, 0]);
    std::fs::write(binary.path(), program).unwrap();
    let place = workspace(binary.path());
    let printed = run(
        &["push", &registry.address, "--plain-http"],
        place.path(),
        binary.path(),
    );
    let repositories = ["5spot-rs", "5spot-bundle", "5spot-catalog"];
    assert_eq!(printed.lines().count(), repositories.len(), "{printed}");
    let (client, anonymous) = (client(), RegistryAuth::Anonymous);
    for (line, repository) in printed.lines().zip(repositories) {
        let name = format!("{}/finos/{repository}", registry.address);
        let digest = line.strip_prefix(&format!("{name}@")).unwrap();
        let tag = concat!("v", env!("CARGO_PKG_VERSION"));
        let by_tag = format!("{name}:{tag}").parse().unwrap();
        let found = client.fetch_manifest_digest(&by_tag, &anonymous).await;
        assert_eq!(found.unwrap(), digest);

        let referrers = client.pull_referrers(&line.parse().unwrap(), None).await;
        let referrers = referrers.unwrap().manifests;
        assert_eq!(referrers.len(), 1, "{repository}");
        let bom = format!("{name}@{}", referrers[0].digest).parse().unwrap();
        let bom = client
            .pull(&bom, &anonymous, vec![CYCLONEDX])
            .await
            .unwrap();
        let bom: serde_json::Value = serde_json::from_slice(&bom.layers[0].data).unwrap();
        assert_eq!(bom["bomFormat"], "CycloneDX");
    }
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_named() {
    let registry = registry().await;
    let pusher = pusher(&registry);
    let address = registry.address.clone();
    drop(registry);
    let error = pusher.push(&named()).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!("failed to log in for {address}/finos/5spot-bundle:v1")
    );
}
