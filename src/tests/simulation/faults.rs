//! What goes wrong, one thing after another.

use tokio::time::sleep;

use super::chance::Chance;
use super::world::World;
use crate::logs::append;

/// Has things fail for a while. At the end the master or slaves may be down.
pub(super) async fn play(world: &World) {
    let mut chance = Chance::new(world.seed, "faults");
    for _ in 0..chance.below(14) {
        sleep(chance.span(5)).await;
        let slave = &world.farm.slaves[chance.place(world.farm.slaves.len())];
        let after = match chance.below(2) {
            0 => 0,
            _ => chance.below(200),
        };
        match chance.below(12) {
            0..3 => {
                world.kill_master(after).await;
                if chance.once_in(3) {
                    lose_power_at_the_master(world, &mut chance);
                }
                sleep(chance.span(5)).await;
                world.start_master().await;
            }
            3..5 => {
                world.kill_slave(slave).await;
                sleep(chance.span(5)).await;
                world.start_slave(slave);
            }
            5 => {
                // Both, and they come back in any order.
                world.kill_slave(slave).await;
                world.kill_master(after).await;
                sleep(chance.span(4)).await;
                if chance.once_in(2) {
                    world.start_slave(slave);
                    sleep(chance.span(4)).await;
                    world.start_master().await;
                } else {
                    world.start_master().await;
                    sleep(chance.span(4)).await;
                    world.start_slave(slave);
                }
            }
            6..8 => {
                if let Some(line) = world.line(slave) {
                    world.tell(&format!("the line of {slave} is cut"));
                    line.cut();
                }
            }
            8..10 => {
                let span = chance.span(6);
                if let Some(line) = world.line(slave) {
                    world.tell(&format!("the line of {slave} stands still for {span:?}"));
                    line.stall(span);
                }
            }
            _ if world.farm.is_patient => {}
            10 => {
                let which = chance.place(8);
                let killed = world.hosts[slave].kill_runners(Some(which));
                if !killed.is_empty() {
                    world.excuse(&format!("the runner of {killed:?} on {slave} is killed"));
                }
            }
            _ => lose_power(world, &mut chance, slave).await,
        }
    }
}

/// What the master did not make safe is there in part, or not at all. Its database is: each
/// commit is synced before it is answered.
fn lose_power_at_the_master(world: &World, chance: &mut Chance) {
    world.tell("the master loses its power");
    let builds = world.master_dir().join("builds");
    append::bench::lose_power(&builds, &mut |unsafe_bytes| match chance.below(3) {
        0 => 0,
        1 => unsafe_bytes,
        _ => chance.below(unsafe_bytes + 1),
    });
}

/// The site of the slaves has no power: everything there ends, and what was not made safe
/// is there in part, or not at all.
async fn lose_power(world: &World, chance: &mut Chance, slave: &str) {
    // All of them: they are told by their start that it is another one.
    for name in &world.farm.slaves {
        world.kill_slave(name).await;
    }
    let boot = format!("boot {}", chance.next());
    world.excuse(&format!("the slaves lose their power: {boot}"));
    for name in &world.farm.slaves {
        let is_torn = name == slave;
        world.hosts[name].lose_power(&boot, |length| match chance.below(4) {
            _ if !is_torn => Some(length),
            0 => None,
            1 => Some(chance.below(length + 1)),
            _ => Some(length),
        });
    }
    sleep(chance.span(5)).await;
    for name in &world.farm.slaves {
        world.start_slave(name);
    }
}
