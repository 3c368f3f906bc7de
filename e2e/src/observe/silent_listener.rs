//! A listener that accepts connections and never answers: where the fault `slow-webhook` has the API server ask.
//!
//! It belongs to this process, so it ends with it, however that ends: from then on its address refuses connections, and a
//! webhook that may be ignored no longer slows anything.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{Mutex, PoisonError},
};

/// Nobody reads from its connections. The kernel accepts them; it keeps those that were not taken from it in a queue of
/// bounded length, and leaves further ones unanswered, which is as silent.
#[derive(Debug)]
pub struct SilentListener {
    listener: TcpListener,
    address: SocketAddr,
    /// Taken from the kernel, and open all the same.
    taken: Mutex<Vec<TcpStream>>,
}

impl SilentListener {
    /// Listens on a free port of an address of this machine.
    ///
    /// # Errors
    /// When the address is not one of this machine.
    pub fn open(address: IpAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            taken: Mutex::default(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the connections that earlier trials have left.
    pub fn close_connections(&self) {
        while self.was_reached() {}
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Whether somebody has connected since this was last asked.
    pub fn was_reached(&self) -> bool {
        let Ok((connection, _)) = self.listener.accept() else {
            return false;
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.push(connection);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::Ipv4Addr,
        time::Duration,
    };

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_connection_is_accepted_and_gets_no_answer_until_the_listener_is_gone() {
        let listener = SilentListener::open(HERE).unwrap();
        assert!(!listener.was_reached());
        let mut connection = TcpStream::connect(listener.address()).unwrap();
        connection
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        connection.write_all(b"hello").unwrap();
        assert!(listener.was_reached() && !listener.was_reached());
        let mut answer = [0; 1];
        let silence = connection.read(&mut answer).unwrap_err().kind();
        assert_eq!(silence, io::ErrorKind::WouldBlock);
        let address = listener.address();
        drop(listener);
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn what_a_trial_has_left_is_closed() {
        let listener = SilentListener::open(HERE).unwrap();
        let mut left = TcpStream::connect(listener.address()).unwrap();
        listener.close_connections();
        assert!(!listener.was_reached());
        assert_eq!(
            left.read(&mut [0; 1]).unwrap(),
            0,
            "closed by the other end"
        );
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        // RFC 5737: nobody's.
        assert!(SilentListener::open(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))).is_err());
    }
}
