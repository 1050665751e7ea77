//! What the servers of a cluster say of its slots (CLUSTER NODES and CLUSTER SLOTS), put together. Pure.

use std::collections::HashMap;

use redis::Value;

use crate::bus::redis::keys::SLOTS;
use crate::bus::redis::url::Address;

/// What one server says of all.
#[derive(Debug, Default)]
pub struct View {
    nodes: Vec<Node>,
    /// The addresses that clients are to use, by the ids of the nodes.
    endpoints: HashMap<String, Address>,
}

#[derive(Debug)]
struct Node {
    id: String,
    address: Address,
    /// Whether it is the server that was asked.
    is_asked: bool,
    is_master: bool,
    epoch: u64,
    slots: Vec<(u16, u16)>,
    /// Slots that it is about to give or to get, and the id of the node that gets them.
    moving: Vec<(u16, String)>,
}

/// The owner of each slot.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SlotMap {
    /// The servers that own slots, in the order of their first ones.
    pub servers: Vec<Address>,
    /// The place of each slot's owner among them.
    pub owners: Vec<Option<usize>>,
    /// The slots on their way, and where to.
    pub importing: Vec<(u16, Address)>,
}

impl SlotMap {
    fn owner(&self, slot: u16) -> Option<&Address> {
        self.servers.get((*self.owners.get(usize::from(slot))?)?)
    }
}

impl View {
    /// Parses the reply to CLUSTER NODES of a server at this address. Lines that are not understood are passed over.
    pub fn parse_nodes(&mut self, reply: &str, asked: &Address) {
        self.nodes = reply.lines().filter_map(|line| parse_node(line, asked)).collect();
    }

    /// Parses the reply to CLUSTER SLOTS, which has the addresses that clients are to use. It also has the slots: they
    /// count if the nodes are not known.
    pub fn parse_slots(&mut self, reply: &Value, asked: &Address) {
        let Value::Array(ranges) = reply else { return };
        let has_nodes = !self.nodes.is_empty();
        for range in ranges {
            let Value::Array(range) = range else { continue };
            let [Value::Int(first), Value::Int(last), servers @ ..] = range.as_slice() else {
                continue;
            };
            for (place, server) in servers.iter().enumerate() {
                let Some((id, address)) = parse_endpoint(server, asked) else {
                    continue;
                };
                if let (false, 0, Ok(first), Ok(last)) = (has_nodes, place, u16::try_from(*first), u16::try_from(*last))
                {
                    self.nodes.push(Node {
                        id: id.clone(),
                        address: address.clone().unwrap_or_else(|| asked.clone()),
                        is_asked: false,
                        is_master: true,
                        epoch: 0,
                        slots: vec![(first, last)],
                        moving: Vec::new(),
                    });
                }
                if let Some(address) = address {
                    self.endpoints.insert(id, address);
                }
            }
        }
    }

    /// Takes the addresses that an earlier view had, if this one has none.
    pub fn or_endpoints_of(&mut self, known: &HashMap<String, Address>) {
        if self.endpoints.is_empty() {
            self.endpoints.clone_from(known);
        }
    }

    /// Returns the addresses that clients are to use.
    pub fn endpoints(&self) -> &HashMap<String, Address> {
        &self.endpoints
    }

    /// Returns true if it says nothing.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn address_of<'a>(&'a self, node: &'a Node) -> &'a Address {
        self.endpoints.get(&node.id).unwrap_or(&node.address)
    }
}

/// Puts views together: of several servers that claim a slot, the one with the highest epoch has it.
pub fn merge(views: &[View]) -> SlotMap {
    let nodes = || views.iter().flat_map(|view| view.nodes.iter().map(move |node| (view, node)));
    let mut servers: Vec<&Address> = Vec::new();
    let mut claims: Vec<Option<((u64, bool), usize)>> = vec![None; usize::from(SLOTS)];
    for (view, node) in nodes().filter(|(_, node)| node.is_master && !node.slots.is_empty()) {
        let (rank, address) = ((node.epoch, node.is_asked), view.address_of(node));
        let place = servers.iter().position(|known| *known == address).unwrap_or_else(|| {
            servers.push(address);
            servers.len() - 1
        });
        for slot in node.slots.iter().flat_map(|(first, last)| *first..=*last) {
            let Some(claim) = claims.get_mut(usize::from(slot)) else {
                continue;
            };
            if claim.is_none_or(|(known, _)| known < rank) {
                *claim = Some((rank, place));
            }
        }
    }
    // In the order of their first slots, so that the same owners are the same map.
    let (mut map, mut places) = (SlotMap::default(), vec![None; servers.len()]);
    for claim in claims {
        map.owners.push(claim.map(|(_, place)| {
            *places[place].get_or_insert_with(|| {
                map.servers.push(servers[place].clone());
                map.servers.len() - 1
            })
        }));
    }
    for (view, node) in nodes() {
        for (slot, target) in &node.moving {
            let target = view.nodes.iter().find(|node| node.id == *target);
            let Some(address) = target.map(|target| view.address_of(target)) else {
                continue;
            };
            let move_to = (*slot, address.clone());
            if map.owner(*slot) != Some(address) && !map.importing.contains(&move_to) {
                map.importing.push(move_to);
            }
        }
    }
    map
}

/// Parses a line of CLUSTER NODES:
/// `ID IP:PORT@BUS[,HOST] FLAGS MASTER PING PONG EPOCH LINK SLOTS…`
fn parse_node(line: &str, asked: &Address) -> Option<Node> {
    let mut words = line.split(' ');
    let (id, at, flags) = (words.next()?, words.next()?, words.next()?);
    let epoch = words.nth(3)?.parse().ok()?;
    let is_asked = flags.split(',').any(|flag| flag == "myself");
    let at = at.split(['@', ',']).next()?;
    let address = match (at.strip_prefix(':'), is_asked) {
        (_, true) => asked.clone(),
        (Some(port), false) => asked.with_port(port.parse().ok()?),
        (None, false) => Address::parse(at)?,
    };
    let mut node = Node {
        id: id.to_owned(),
        address,
        is_asked,
        is_master: flags.split(',').any(|flag| flag == "master"),
        epoch,
        slots: Vec::new(),
        moving: Vec::new(),
    };
    for word in words.skip(1) {
        if let Some(moving) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
            if let Some((slot, target)) = moving.split_once("->-") {
                node.moving.push((slot.parse().ok()?, target.to_owned()));
            } else if let Some((slot, _)) = moving.split_once("-<-") {
                node.moving.push((slot.parse().ok()?, id.to_owned()));
            }
        } else {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            node.slots.push((first.parse().ok()?, last.parse().ok()?));
        }
    }
    Some(node)
}

/// Parses a server of CLUSTER SLOTS: its preferred endpoint, its port and its id. The address is `None` if the server does
/// not say which it is.
fn parse_endpoint(server: &Value, asked: &Address) -> Option<(String, Option<Address>)> {
    let Value::Array(server) = server else { return None };
    let [endpoint, Value::Int(port), id, ..] = server.as_slice() else {
        return None;
    };
    let (id, port) = (text(id)?, u16::try_from(*port).ok()?);
    let address = match (endpoint, text(endpoint).as_deref()) {
        (Value::Nil, _) => Some(asked.with_port(port)),
        (_, None | Some("" | "?")) => None,
        (_, Some(host)) => Some(Address::Tcp(host.to_owned(), port)),
    };
    Some((id, address))
}

fn text(value: &Value) -> Option<String> {
    redis::from_redis_value_ref(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Address {
        Address::Tcp("10.0.0.1".into(), port)
    }

    fn view(port: u16, nodes: &str) -> View {
        let mut view = View::default();
        view.parse_nodes(nodes, &address(port));
        view
    }

    #[test]
    fn nodes_have_slots_and_say_which_are_moved() {
        let nodes = "aa 10.0.0.1:7000@17000,host-a myself,master - 0 0 1 connected 0-99 200 [50->-bb] [7000-<-bb]\n\
                     bb 10.0.0.1:7001@17001 master - 0 1 2 connected 100-199 [150->-aa]\n\
                     cc 10.0.0.1:7002@17002 slave aa 0 1 1 connected\n\
                     what is this\n";
        let map = merge(&[view(7000, nodes)]);
        let owner = |slot: u16| map.owner(slot).cloned();
        assert_eq!((owner(0), owner(99), owner(200)), (Some(address(7000)), Some(address(7000)), Some(address(7000))));
        assert_eq!((owner(100), owner(201)), (Some(address(7001)), None));
        assert_eq!(map.importing, [(50, address(7001)), (7000, address(7000)), (150, address(7000))]);
    }

    #[test]
    fn the_highest_epoch_has_the_slot() {
        let old = "aa 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-10\n\
                   bb 10.0.0.1:7001@17001 slave aa 0 0 1 connected\n";
        let new = "aa 10.0.0.1:7000@17000 master,fail - 0 0 1 connected\n\
                   bb 10.0.0.1:7001@17001 myself,master - 0 0 3 connected 0-10\n";
        for views in [[view(7000, old), view(7001, new)], [view(7001, new), view(7000, old)]] {
            assert_eq!(merge(&views).owner(5), Some(&address(7001)));
        }
    }

    #[test]
    fn the_same_owners_are_the_same_map() {
        let one = "aa 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-10\n\
                   bb 10.0.0.1:7001@17001 master - 0 0 2 connected 11-20\n";
        let other = "bb 10.0.0.1:7001@17001 myself,master - 0 0 2 connected 11-20\n\
                     aa 10.0.0.1:7000@17000 master - 0 0 1 connected 0-10\n";
        assert_eq!(merge(&[view(7000, one), view(7001, other)]), merge(&[view(7001, other)]));
    }

    #[test]
    fn clients_use_the_endpoints_that_the_cluster_prefers() {
        let bulk = |text: &str| Value::BulkString(text.into());
        let server = |endpoint: Value, port: i64, id: &str| {
            Value::Array(vec![endpoint, Value::Int(port), bulk(id), Value::Array(vec![])])
        };
        let range = |first, last, server| Value::Array(vec![Value::Int(first), Value::Int(last), server]);
        let slots = Value::Array(vec![
            range(0, 9, server(bulk("a.example"), 7000, "aa")),
            range(10, 19, server(Value::Nil, 7001, "bb")),
            range(20, 29, server(bulk("?"), 7002, "cc")),
        ]);
        let nodes = "aa 10.0.0.1:7000@17000,a.example myself,master - 0 0 1 connected 0-9\n\
                     bb 10.0.0.1:7001@17001 master - 0 0 2 connected 10-19\n\
                     cc 10.0.0.2:7002@17002 master - 0 0 3 connected 20-29\n";
        let mut with_nodes = view(7000, nodes);
        with_nodes.parse_slots(&slots, &address(7000));
        let map = merge(&[with_nodes]);
        assert_eq!(map.owner(0), Some(&Address::Tcp("a.example".into(), 7000)));
        assert_eq!(map.owner(10), Some(&address(7001)));
        assert_eq!(map.owner(20), Some(&Address::Tcp("10.0.0.2".into(), 7002)));
        let mut alone = View::default();
        alone.parse_slots(&slots, &address(7000));
        let map = merge(&[alone]);
        assert_eq!(
            (map.owner(9), map.owner(19)),
            (Some(&Address::Tcp("a.example".into(), 7000)), Some(&address(7001)))
        );
    }
}
