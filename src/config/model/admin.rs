//! `[admin]`: who may ask for the admin operations, and for what.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::base::secret::Secret;
use crate::config::model::SecretRef;

/// `[admin]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    /// Whether the panel is served.
    pub enabled: bool,
    /// Where, if not on `server.listen`.
    pub listen: Option<SocketAddr>,
    /// Who may sign in at the panel; `None`: nobody.
    pub password: Option<Password>,
    /// How long a sign-in lasts without use; never zero.
    pub session_ttl: Duration,
    /// How long it lasts where "stay signed in" is ticked; `None`: not offered.
    pub remember_ttl: Option<Duration>,
    /// What sessions are signed with; `None`: a secret that the store keeps.
    pub jwt_secret: Option<SecretRef>,
    /// Whether the password itself is taken as a bearer token.
    pub password_as_bearer: bool,
    /// Whether edits are saved; else they are answered with a patch.
    pub write_back: bool,
    /// The repository's folder in front of the paths in such a patch.
    pub patch_prefix: String,
    /// Where days and months begin.
    pub time_zone: TimeZone,
    /// Tokens of scripts, by name.
    pub tokens: BTreeMap<String, AdminToken>,
}

/// How the panel's password is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Password {
    /// By its argon2id hash in PHC form, checked to be one.
    Hash(Secret),
    /// By itself.
    Plain(SecretRef),
}

/// A token that the admin API takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminToken {
    /// SHA-256 of the whole token.
    pub sha256: [u8; 32],
    /// What it may do.
    pub role: Role,
}

/// What a caller of the admin operations may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Read,
    /// Change, too.
    Write,
}

impl Role {
    /// As the file writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A network: the addresses whose first bits are those of `address`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// One of its addresses.
    pub address: IpAddr,
    /// How many bits count: up to 32 of an IPv4 address, up to 128 of an IPv6 one.
    pub bits: u8,
}

impl Network {
    /// Whether the address is in it. An IPv4 address that is written as an IPv6 one (`::ffff:192.0.2.1`) is the IPv4 one.
    pub fn contains(&self, address: IpAddr) -> bool {
        let leading = |a: u128, b: u128, width: u32| {
            let ignored = width.saturating_sub(u32::from(self.bits));
            a.checked_shr(ignored) == b.checked_shr(ignored)
        };
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                leading(own.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => leading(own.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_of_its_prefix() {
        let cases = [
            ("10.0.0.0", 8, "10.255.0.1", true),
            ("10.0.0.0", 8, "11.0.0.1", false),
            ("10.0.0.0", 8, "::ffff:10.1.2.3", true),
            ("192.0.2.7", 32, "192.0.2.7", true),
            ("192.0.2.7", 32, "192.0.2.6", false),
            ("0.0.0.0", 0, "203.0.113.9", true),
            ("0.0.0.0", 0, "2001:db8::1", false),
            ("2001:db8::", 32, "2001:db8:ffff::1", true),
            ("2001:db8::", 32, "2001:db9::1", false),
            ("::", 0, "2001:db8::1", true),
            ("::", 0, "192.0.2.1", false),
            ("::1", 128, "::1", true),
            ("::1", 128, "::2", false),
        ];
        for (address, bits, other, is) in cases {
            let address = address.parse().unwrap();
            let network = Network { address, bits };
            assert_eq!(
                network.contains(other.parse().unwrap()),
                is,
                "{network:?} {other}"
            );
        }
    }
}
