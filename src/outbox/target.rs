//! Where a webhook may point: to a public address, by HTTPS. Whoever may set up a webhook must not reach by it what only this machine
//! can reach.
//!
//! What can be told of an address by itself is told when it is written ([`read`]). A name is resolved for each attempt anew, and the
//! attempt goes to the very addresses that were looked at ([`Guard`]): a name that first points here and then there gains nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use url::{Host, Url};

use crate::error::Says;

/// Ports at which others' HTTPS is met.
const PORTS: [u16; 2] = [443, 8443];
pub const LONGEST: usize = 500;

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

/// IPv4 that is not everybody's, by IANA's registry of special purposes.
const NOT_PUBLIC_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 31, 196, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// What IPv6 gives out to the public. Outside lie loopback, private, local and multicast addresses, and those that mean one of IPv4:
/// `::ffff:0:0/96`, `64:ff9b::/96`, `64:ff9b:1::/48`.
const PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 0, 3);
/// And what inside is not everybody's: protocols' own with Teredo, documentation, and 6to4, which means an address of IPv4.
const NOT_PUBLIC_V6: [Ipv6Net; 5] =
    [v6(0x2001, 0, 0, 23), v6(0x2001, 0xdb8, 0, 32), v6(0x2002, 0, 0, 16), v6(0x2620, 0x4f, 0x8000, 48), v6(0x3fff, 0, 0, 20)];

/// Whether an address is one of the public's.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => NOT_PUBLIC_V4.iter().all(|net| !net.contains(&address)),
        IpAddr::V6(address) => PUBLIC_V6.contains(&address) && NOT_PUBLIC_V6.iter().all(|net| !net.contains(&address)),
    }
}

/// Networks of the association's own in which webhooks may point to any address, by plain HTTP too, at any port. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Networks(Arc<[IpNet]>);

impl Networks {
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    fn hold(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }

    /// Whether an attempt may go there.
    pub fn permit(&self, https: bool, address: IpAddr, port: u16) -> bool {
        self.hold(address) || (https && PORTS.contains(&port) && is_public(address))
    }
}

/// A webhook's address, or what is wrong with it. A host that is written as a number in whichever way is read as the address that it
/// means.
pub fn read(text: &str, networks: &Networks) -> Result<Url, Says> {
    let url = Url::parse(text).map_err(|_| {
        Says::new("应为完整的网址，如 https://example.cn/yiyong", "this should be a whole address, as in https://example.cn/yiyong")
    })?;
    let https = match url.scheme() {
        "https" => true,
        "http" if !networks.are_none() => false,
        _ => return Err(Says::new("应以 https:// 开头", "this should begin with https://")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Says::new(
            "网址中不能含用户名或密码；投递由签名证明来源",
            "an address holds no user and no password; deliveries prove themselves by their signature",
        ));
    }
    if url.fragment().is_some() {
        return Err(Says::new("网址中不能含 # 片段", "an address ends before a #"));
    }
    if text.len() > LONGEST || url.as_str().len() > LONGEST {
        return Err(Says::new(format!("网址最长 {LONGEST} 个字节"), format!("an address has at most {LONGEST} bytes")));
    }
    let port = url.port_or_known_default().unwrap_or_default();
    let permitted = match url.host() {
        None => false,
        // Which addresses a name has is asked at each attempt.
        Some(Host::Domain(name)) => !name.is_empty() && (PORTS.contains(&port) && https || !networks.are_none()),
        Some(Host::Ipv4(address)) => networks.permit(https, address.into(), port),
        Some(Host::Ipv6(address)) => networks.permit(https, address.into(), port),
    };
    if permitted { Ok(url) } else { Err(refused()) }
}

fn refused() -> Says {
    Says::new(
        "此地址不允许：应为公网地址的 443 或 8443 端口；内网地址须由运维人员在 YIYONG_WEBHOOK_ALLOWED_NETWORKS 中允许",
        "this address is not allowed: it should be a public one at port 443 or 8443; an operator allows private ones in YIYONG_WEBHOOK_ALLOWED_NETWORKS",
    )
}

/// An attempt that was not made, because of where it would have gone.
#[derive(Debug)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&refused().en)
    }
}

impl std::error::Error for Refused {}

/// Resolves a name and looks at all that it means before anything is sent to any of it.
#[derive(Debug)]
pub struct Guard {
    names: DefaultResolver,
    networks: Networks,
}

impl Guard {
    pub fn new(networks: Networks) -> Self {
        Self { names: DefaultResolver::default(), networks }
    }
}

impl Resolver for Guard {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let https = uri.scheme_str() == Some("https");
        let found = self.names.resolve(uri, config, timeout)?;
        // A name of which one address is not permitted is somebody's trick or mistake: none is tried.
        if found.iter().all(|address| self.networks.permit(https, address.ip(), address.port())) {
            Ok(found)
        } else {
            Err(ureq::Error::Other(Box::new(Refused)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        Networks::new(texts.iter().map(|text| text.parse::<IpNet>().expect("a network")))
    }

    #[test]
    fn what_is_not_the_publics_is_known() {
        for private in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().expect("an address")), "{private}");
        }
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2400:3200::1",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "2003::1",
        ] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
    }

    #[test]
    fn an_address_is_read_as_what_it_means() {
        let none = Networks::default();
        for fine in [
            "https://example.cn",
            "https://example.cn/hook?key=1",
            "https://example.cn:8443/",
            "https://1.1.1.1/",
            "https://[2400:3200::1]/",
            "https://见义勇为.cn/",
        ] {
            assert!(read(fine, &none).is_ok(), "{fine}");
        }
        for wrong in [
            "",
            "example.cn",
            "http://example.cn/",
            "ftp://example.cn/",
            "file:///etc/passwd",
            "https://",
            "https://user@example.cn/",
            "https://user:word@example.cn/",
            "https://example.cn/#x",
            "https://example.cn:80/",
            "https://example.cn:22/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://１２７.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fe80::1]/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[64:ff9b::a00:1]/",
            "https://user@127.0.0.1@example.cn/",
            "https://0/",
        ] {
            assert!(read(wrong, &none).is_err(), "{wrong}");
        }
        // What looks like a backslash to one reader is a slash to another: it is what goes out that is looked at.
        assert_eq!(read("https://example.cn\\@127.0.0.1/", &none).expect("read").host_str(), Some("example.cn"));
        assert_eq!(read("https:///example.cn", &none).expect("read").as_str(), "https://example.cn/");
        assert!(read(&format!("https://example.cn/{}", "x".repeat(LONGEST)), &none).is_err());
    }

    #[test]
    fn what_an_operator_allows_is_allowed_and_nothing_else() {
        let office = networks(&["10.1.0.0/16", "fd00:1::/32"]);
        for fine in ["http://10.1.2.3:8080/hook", "https://10.1.2.3/", "http://[fd00:1::5]/", "http://office.lan/"] {
            assert!(read(fine, &office).is_ok(), "{fine}");
        }
        for wrong in [
            "http://10.2.0.1/",
            "http://127.0.0.1/",
            "http://1.1.1.1/",
            "https://1.1.1.1:22/",
            "https://[::ffff:10.1.2.3]/",
            "ftp://10.1.2.3/",
        ] {
            assert!(read(wrong, &office).is_err(), "{wrong}");
        }
        let at = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(office.permit(false, at("10.1.0.1"), 8080) && !office.permit(false, at("10.0.0.1"), 443));
        // A name that turns out to be public goes by HTTPS all the same.
        assert!(
            office.permit(true, at("1.1.1.1"), 443) && !office.permit(false, at("1.1.1.1"), 80) && !office.permit(true, at("1.1.1.1"), 80)
        );
    }

    /// A name is as good as the worst of its addresses.
    #[test]
    fn names_are_looked_at_before_anything_is_sent() {
        let resolved = |networks: Networks, uri: &str| {
            let agent =
                ureq::Agent::with_parts(Config::default(), ureq::unversioned::transport::DefaultConnector::default(), Guard::new(networks));
            agent.get(uri).call()
        };
        for uri in ["https://localhost/", "http://localhost:9/", "https://127.0.0.1/", "http://[::1]:9/"] {
            let error = resolved(Networks::default(), uri).expect_err("refused");
            assert!(matches!(&error, ureq::Error::Other(why) if why.is::<Refused>()), "{uri}: {error}");
        }
        let error = resolved(networks(&["127.0.0.0/8", "::1/128"]), "http://localhost:9/").expect_err("nobody listens");
        assert!(!matches!(error, ureq::Error::Other(_)), "{error}");
    }
}
