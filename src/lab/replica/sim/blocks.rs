//! The paged KV cache: blocks of tokens, counted references, and the prefix
//! cache, whose unreferenced blocks are evicted oldest first.

use std::collections::{BTreeMap, HashMap};

/// Tokens in one block.
pub(super) const BLOCK_TOKENS: u32 = 16;

/// Identifies the content of a block and of all blocks before it.
pub(super) type BlockHash = u64;

/// A block of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockId(usize);

#[derive(Debug, Clone, Copy, Default)]
struct Block {
    references: u32,
    hash: Option<BlockHash>,
    // Its key among the idle ones.
    idle_since: u64,
}

/// All blocks of one accelerator.
#[derive(Debug)]
pub(super) struct BlockPool {
    blocks: Vec<Block>,
    // Neither referenced nor worth keeping.
    free: Vec<BlockId>,
    // Unreferenced, but with content that a later prompt may share.
    idle: BTreeMap<u64, BlockId>,
    by_hash: HashMap<BlockHash, BlockId>,
    clock: u64,
}

impl BlockPool {
    pub(super) fn new(total: usize) -> Self {
        Self {
            blocks: vec![Block::default(); total],
            free: (0..total).rev().map(BlockId).collect(),
            idle: BTreeMap::new(),
            by_hash: HashMap::new(),
            clock: 0,
        }
    }

    pub(super) fn total(&self) -> usize {
        self.blocks.len()
    }

    /// Blocks that could be handed out now.
    pub(super) fn available(&self) -> usize {
        self.free.len() + self.idle.len()
    }

    /// Blocks that a sequence holds.
    pub(super) fn used(&self) -> usize {
        self.total() - self.available()
    }

    /// An empty block; evicts the longest idle cached one if none is free.
    pub(super) fn allocate(&mut self) -> Option<BlockId> {
        let id = match self.free.pop() {
            Some(id) => id,
            None => self.idle.pop_first()?.1,
        };
        let block = &mut self.blocks[id.0];
        if let Some(hash) = block.hash.take() {
            self.by_hash.remove(&hash);
        }
        block.references = 1;
        Some(id)
    }

    /// How many of the leading `hashes` are cached, and how many of those are
    /// idle (so that taking them uses up availability).
    pub(super) fn cached_prefix(&self, hashes: &[BlockHash]) -> (usize, usize) {
        let mut idle = 0;
        let hits = hashes.iter().map_while(|hash| self.by_hash.get(hash)).inspect(|id| {
            idle += usize::from(self.blocks[id.0].references == 0);
        });
        (hits.count(), idle)
    }

    /// One more reference to the cached block of `hash`.
    pub(super) fn share(&mut self, hash: BlockHash) -> Option<BlockId> {
        let id = *self.by_hash.get(&hash)?;
        let block = &mut self.blocks[id.0];
        if block.references == 0 {
            self.idle.remove(&block.idle_since);
        }
        block.references += 1;
        Some(id)
    }

    /// The block's content is complete. Another block with the same content
    /// stays the cached one.
    pub(super) fn publish(&mut self, id: BlockId, hash: BlockHash) {
        if let std::collections::hash_map::Entry::Vacant(entry) = self.by_hash.entry(hash) {
            entry.insert(id);
            self.blocks[id.0].hash = Some(hash);
        }
    }

    /// One reference less.
    pub(super) fn release(&mut self, id: BlockId) {
        self.clock += 1;
        let block = &mut self.blocks[id.0];
        block.references -= 1;
        if block.references == 0 {
            if block.hash.is_some() {
                block.idle_since = self.clock;
                self.idle.insert(self.clock, id);
            } else {
                self.free.push(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_block_is_evicted_first() {
        let mut pool = BlockPool::new(2);
        let (a, b) = (pool.allocate().expect("free"), pool.allocate().expect("free"));
        pool.publish(a, 1);
        pool.publish(b, 2);
        assert_eq!(pool.allocate(), None);
        pool.release(b);
        pool.release(a);
        assert_eq!(pool.available(), 2);
        assert_eq!(pool.allocate(), Some(b));
        assert_eq!((pool.share(1), pool.share(2)), (Some(a), None));
    }

    #[test]
    fn a_shared_block_lives_until_its_last_reference_goes() {
        let mut pool = BlockPool::new(1);
        let a = pool.allocate().expect("free");
        pool.publish(a, 7);
        assert_eq!(pool.share(7), Some(a));
        pool.release(a);
        assert_eq!((pool.used(), pool.allocate()), (1, None));
        pool.release(a);
        assert_eq!(pool.used(), 0);
        assert_eq!(pool.cached_prefix(&[7, 8]), (1, 1));
    }
}
