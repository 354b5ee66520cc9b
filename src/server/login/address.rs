//! Who a request comes from, behind proxies that may be believed.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use crate::config::model::Network;

/// Most addresses of `X-Forwarded-For` that are looked at, from the right.
const MOST: usize = 32;

/// The client's address: the peer's, or where that is a trusted proxy, the right-most address in `X-Forwarded-For` that is
/// none. What stands to the left of it was written by the client, who may write anything.
pub(in crate::server) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_proxy = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let mut hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    for _ in 0..MOST {
        if !is_proxy(client) {
            break;
        }
        // What is no address ends what can be believed.
        let Some(before) = hops.next().and_then(|text| address(text.trim())) else {
            break;
        };
        client = before;
    }
    client
}

/// An address, with a port too, as some proxies write it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let parsed = bare.parse::<IpAddr>().ok();
    let parsed = parsed.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    parsed.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, lines: &[&str]) -> String {
        let network = |text: &str, bits| Network {
            address: text.parse().unwrap(),
            bits,
        };
        let trusted = [network("10.0.0.0", 8), network("2001:db8::", 32)];
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_proxies_are_believed_and_only_what_they_wrote() {
        let cases: [(&str, &[&str], &str); 14] = [
            ("192.0.2.1", &[], "192.0.2.1"),
            // Not a proxy: whatever it says is its own.
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            // The client wrote the left one.
            ("10.0.0.1", &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9", "10.0.0.2"], "203.0.113.9"),
            (
                "10.0.0.1",
                &["203.0.113.9", "10.0.0.2,10.0.0.3"],
                "203.0.113.9",
            ),
            ("10.0.0.1", &["10.0.0.7, 10.0.0.2"], "10.0.0.7"),
            ("10.0.0.1", &["203.0.113.9, junk"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("2001:db8::1", &["2001:db9::7"], "2001:db9::7"),
            ("2001:db8::1", &["[2001:db9::7]:80"], "2001:db9::7"),
            ("::ffff:10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
        ];
        for (peer, lines, client) in cases {
            assert_eq!(of(peer, lines), client, "{peer} {lines:?}");
        }
        let long = vec!["10.0.0.2"; 10_000].join(",");
        assert_eq!(of("10.0.0.1", &[&long]), "10.0.0.2");
    }
}
