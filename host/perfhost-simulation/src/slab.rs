//! Things with keys that do not outlive them: a key whose thing is gone finds nothing, even when its place is taken.

use std::marker::PhantomData;

/// Names one thing in a [`Slab`] of `T`.
#[derive(Debug)]
pub(crate) struct Key<T> {
    index: u32,
    generation: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.generation) == (other.index, other.generation)
    }
}

/// Holds as many things as are alive at once, and no more places than ever were.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn add(&mut self, thing: T) -> Key<T> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() as u32 - 1
        });
        let place = &mut self.places[index as usize];
        place.1 = Some(thing);
        Key { index, generation: place.0, kind: PhantomData }
    }

    pub(crate) fn get(&self, key: Key<T>) -> Option<&T> {
        let (generation, thing) = self.places.get(key.index as usize)?;
        thing.as_ref().filter(|_| *generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        let (generation, thing) = self.places.get_mut(key.index as usize)?;
        thing.as_mut().filter(|_| *generation == key.generation)
    }

    pub(crate) fn remove(&mut self, key: Key<T>) -> Option<T> {
        let (generation, thing) = self.places.get_mut(key.index as usize)?;
        let removed = thing.take_if(|_| *generation == key.generation)?;
        *generation = generation.wrapping_add(1);
        self.free.push(key.index);
        Some(removed)
    }

    /// Keys of all things, in the order of their places.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key<T>> {
        self.places.iter().enumerate().filter(|(_, (_, thing))| thing.is_some()).map(|(index, (generation, _))| Key {
            index: index as u32,
            generation: *generation,
            kind: PhantomData,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_find_what_took_its_place() {
        let mut slab = Slab::new();
        let first = slab.add('a');
        assert_eq!((slab.remove(first), slab.remove(first)), (Some('a'), None));
        let second = slab.add('b');
        assert_eq!((slab.get(first), slab.get(second), slab.len()), (None, Some(&'b'), 1));
        assert!(first != second && slab.keys().eq([second]));
    }
}
