use super::*;

#[test]
fn every_id_is_found_between_ephemeral_frames() {
    // Each digit is the number of ephemeral frames before the next entry; three more follow the last one.
    for ephemeral in ["0000", "1010", "0503", "9009", "0090", "1111111", "70", "5"] {
        let mut buffer = FrameBuffer::new(true, Arc::default());
        let mut expected = Vec::new();
        for (n, digit) in (1..).zip(ephemeral.bytes()) {
            (b'0'..digit).for_each(|_| buffer.push(Frame::ephemeral(Event::foreign(b"f", 1))));
            expected.push(buffer.end());
            let id = Id { ms: 10 + n, n };
            buffer.push(Frame::of_entry(Entry { id, prev: None, kind: String::new(), data: "{}".into(), node: None }));
        }
        (0..3).for_each(|_| buffer.push(Frame::ephemeral(Event::foreign(b"f", 1))));
        let part = 0..buffer.end();
        let found = (1..).map(|n| buffer.position_of(Id { ms: 10 + n, n }, part.clone()));
        assert_eq!(found.map_while(|found| found).collect::<Vec<_>>(), expected, "{ephemeral}");
        for unknown in [Id { ms: 9, n: 1 }, Id { ms: 11, n: 2 }, Id { ms: 99, n: 1 }] {
            assert_eq!(buffer.position_of(unknown, part.clone()), None, "{ephemeral}");
        }
        assert_eq!(buffer.position_of(Id { ms: 11, n: 1 }, expected[0] + 1..buffer.end()), None, "before that part");
    }
}
