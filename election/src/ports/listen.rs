//! Where this process listens: on addresses of both families at once, as far as the kernel has them.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use rustix::{io::Errno, net::sockopt::set_ipv6_v6only};
use tokio::net::{TcpListener, TcpSocket};
use tracing::info;

/// How many connections may wait to be accepted. The kernel takes less where `net.core.somaxconn` says so.
const BACKLOG: u32 = 1024;

/// Listens on `address`. `[::]` is every address of the pod, IPv6 and IPv4, and on a kernel without IPv6 every IPv4 address;
/// any other address is used as it is.
///
/// # Errors
/// What the system says, such as that the port is taken.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let refused = match bind(address) {
        Ok(listener) => return Ok(listener),
        Err(refused) => refused,
    };
    let Some(instead) = without_ipv6(address, &refused) else {
        return Err(refused);
    };
    info!(%address, %instead, "the kernel has no IPv6: listening on IPv4 alone");
    bind(instead)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if is_every_address(address) {
        // Else the sysctl net.ipv6.bindv6only would decide.
        set_ipv6_v6only(&socket, false)?;
    }
    // A restarted container does not have to wait for what is left of its predecessor's connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The address to listen on instead of `address`, where it was `refused` because there is no IPv6.
fn without_ipv6(address: SocketAddr, refused: &io::Error) -> Option<SocketAddr> {
    // The kernel was built or booted without IPv6, or this network namespace has none.
    let has_none = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| refused.raw_os_error() == Some(errno.raw_os_error()));
    (is_every_address(address) && has_none)
        .then(|| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
}

fn is_every_address(address: SocketAddr) -> bool {
    address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::net::TcpStream;

    use super::*;

    #[rstest]
    #[case::no_ipv6_in_the_kernel("[::]:8080", Errno::AFNOSUPPORT, Some("0.0.0.0:8080"))]
    #[case::no_ipv6_address("[::]:8080", Errno::ADDRNOTAVAIL, Some("0.0.0.0:8080"))]
    #[case::taken("[::]:8080", Errno::ADDRINUSE, None)]
    #[case::not_allowed("[::]:80", Errno::ACCESS, None)]
    #[case::too_many_files("[::]:8080", Errno::MFILE, None)]
    #[case::one_ipv6_address("[::1]:8080", Errno::ADDRNOTAVAIL, None)]
    #[case::one_family("[2001:db8::1]:8080", Errno::AFNOSUPPORT, None)]
    #[case::ipv4("0.0.0.0:8080", Errno::ADDRNOTAVAIL, None)]
    fn only_every_address_falls_back_and_only_without_ipv6(
        #[case] address: &str,
        #[case] refused: Errno,
        #[case] instead: Option<&str>,
    ) {
        let found = without_ipv6(address.parse().unwrap(), &refused.into());
        assert_eq!(found, instead.map(|address| address.parse().unwrap()));
    }

    #[rstest]
    #[case::every_address("[::]:0", &["127.0.0.1", "::1"])]
    #[case::one_address("127.0.0.1:0", &["127.0.0.1"])]
    #[case::one_ipv6_address("[::1]:0", &["::1"])]
    #[tokio::test]
    async fn what_is_listened_on_is_reached(#[case] address: &str, #[case] reached: &[&str]) {
        if std::fs::read_to_string("/proc/net/if_inet6").is_err() {
            // Only the fallback can be shown here.
            assert!(
                listen("[::]:0".parse().unwrap())
                    .unwrap()
                    .local_addr()
                    .unwrap()
                    .is_ipv4()
            );
            return;
        }
        let listener = listen(address.parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        for ip in ["127.0.0.1", "::1"] {
            let to = SocketAddr::new(ip.parse().unwrap(), port);
            let connected = TcpStream::connect(to).await.is_ok();
            assert_eq!(connected, reached.contains(&ip), "{to}");
        }
    }

    #[tokio::test]
    async fn a_port_that_another_process_listens_on_in_either_family_is_taken() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = first.local_addr().unwrap().port();
        let second = listen(format!("[::]:{port}").parse().unwrap()).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    }
}
