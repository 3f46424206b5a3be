//! Prefix codes of least length, limited as deflate limits them (RFC 1951, 3.2.2).

/// Gives each symbol that was met the length of its code, at most `limit` bits, and the others 0. At least two symbols
/// get one, since a code of one word is read differently by different readers.
///
/// The lengths come from the algorithm of Moffat and Katajainen ("In-Place Calculation of Minimum-Redundancy Codes",
/// 1995). Words longer than the limit are cut to it, and the room they then lack is taken from the longest of the
/// shorter ones, which costs a few bits where it happens at all.
pub fn lengths(counts: &[u32], limit: usize, lengths: &mut [u8]) {
    lengths.fill(0);
    // A count and its symbol in one word, so that sorting is a sort of plain numbers.
    let mut sorted = [0u32; 288];
    let mut used = 0;
    for (symbol, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        sorted[used] = count << 9 | symbol as u32;
        used += 1;
    }
    if used < 2 {
        let only = if used == 1 { (sorted[0] & 511) as usize } else { 0 };
        lengths[only] = 1;
        lengths[usize::from(only == 0)] = 1;
        return;
    }
    let sorted = &mut sorted[..used];
    sorted.sort_unstable();
    let mut tree = [0u32; 288];
    for (node, word) in tree.iter_mut().zip(sorted.iter()) {
        *node = word >> 9;
    }
    let tree = &mut tree[..used];
    depths(tree);

    let mut of_length = [0u32; 16];
    for depth in tree.iter() {
        of_length[(*depth as usize).min(limit)] += 1;
    }
    // The share of all words that the code uses, in units of the longest one.
    let mut share: u32 = (1..=limit).map(|l| of_length[l] << (limit - l)).sum();
    while share > 1 << limit {
        let shorter = (1..limit).rev().find(|l| of_length[*l] > 0).unwrap_or(1);
        of_length[shorter] -= 1;
        of_length[shorter + 1] += 2;
        of_length[limit] -= 1;
        share -= 1;
    }
    let mut symbols = sorted.iter().map(|word| (word & 511) as usize);
    for length in (1..=limit).rev() {
        for symbol in symbols.by_ref().take(of_length[length] as usize) {
            lengths[symbol] = length as u8;
        }
    }
}

/// Turns sorted counts, the smallest first, into the depths of their leaves, the deepest first. The one array is queue,
/// tree and result in turn.
fn depths(tree: &mut [u32]) {
    let n = tree.len();
    // Join the two smallest of leaves and nodes; a joined node remembers its parent.
    let (mut leaf, mut root) = (0, 0);
    for next in 0..n - 1 {
        let mut sum = 0;
        for _ in 0..2 {
            if leaf >= n || (root < next && tree[root] < tree[leaf]) {
                sum += tree[root];
                tree[root] = next as u32;
                root += 1;
            } else {
                sum += tree[leaf];
                leaf += 1;
            }
        }
        tree[next] = sum;
    }
    // The parent's depth and one more, from the root down.
    tree[n - 2] = 0;
    for node in (0..n - 2).rev() {
        tree[node] = tree[tree[node] as usize] + 1;
    }
    // Nodes that a depth has room for and that are not inner nodes are leaves.
    let (mut room, mut depth, mut node, mut leaf) = (1u32, 0u32, n as isize - 2, n as isize - 1);
    while room > 0 {
        let mut inner = 0;
        while node >= 0 && tree[node as usize] == depth {
            inner += 1;
            node -= 1;
        }
        for _ in inner..room {
            tree[leaf as usize] = depth;
            leaf -= 1;
        }
        room = 2 * inner;
        depth += 1;
    }
}

/// The code words for lengths, each turned so that its first bit is the lowest (RFC 1951, 3.1.1 and 3.2.2).
pub fn codes(lengths: &[u8], codes: &mut [u16]) {
    let mut of_length = [0u16; 16];
    for &length in lengths {
        of_length[usize::from(length)] += 1;
    }
    of_length[0] = 0;
    let mut next = [0u16; 16];
    for length in 1..16 {
        next[length] = (next[length - 1] + of_length[length - 1]) << 1;
    }
    for (code, &length) in codes.iter_mut().zip(lengths).filter(|(_, length)| **length > 0) {
        *code = next[usize::from(length)].reverse_bits() >> (16 - length);
        next[usize::from(length)] += 1;
    }
}
