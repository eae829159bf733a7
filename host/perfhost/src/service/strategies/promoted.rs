//! Which strategy a start begins with: the configured one, or what an experiment of an earlier run has promoted under this
//! configuration. Owns the choice; when a promotion holds is [`Promotion`]'s business.

use tracing::{info, warn};

use super::SwapError;
use super::desk::{Desk, Held};
use super::loader::Loader;
use super::shelf::Shelf;
use crate::built_in;
use crate::service::promotion::Promotion;

/// With what a start begins.
pub(super) struct Beginning {
    /// In service from the first request on, and told what it needs.
    pub(super) held: Held,
    /// What holds, also where it promoted no other strategy than the configured one.
    pub(super) promotion: Option<Promotion>,
    /// Which experiment put it in service, where it is not the configured one; for people.
    pub(super) by: Option<String>,
}

/// Chooses, with the configured strategy on the desk as the one in service, and puts the winner in its place there. Only a
/// configured strategy that refuses what it is told ends the start.
pub(super) fn begin(
    configured: Held,
    promotion: Option<Promotion>,
    plugins: &[String],
    desk: &mut Desk,
    load: impl FnOnce(&Promotion) -> Result<Held, SwapError>,
    prepare: impl Fn(&Desk, &Held) -> Result<(), SwapError>,
) -> Result<Beginning, SwapError> {
    let promotion = promotion.filter(|promotion| {
        let fits = promotion.fits(plugins, configured.digest());
        let strategy = &promotion.strategy;
        fits.inspect_err(|why| info!(strategy, why, "what an experiment had promoted is not begun with")).is_ok()
    });
    let Some(winner) = promotion.as_ref().filter(|promotion| promotion.digest != configured.digest()) else {
        prepare(desk, &configured)?;
        return Ok(Beginning { held: configured, promotion, by: None });
    };
    let at_hand = desk.find(&winner.digest);
    let held = at_hand.map_or_else(|| load(winner), Ok).and_then(|held| prepare(desk, &held).map(|()| held));
    match held {
        Ok(held) => {
            info!(
                strategy = winner.strategy,
                experiment = winner.experiment,
                "an experiment promoted it and the configuration is unchanged: it serves in place of the configured strategy"
            );
            let by = Some(format!("experiment {} of an earlier run", winner.experiment));
            desk.serve(held.clone());
            Ok(Beginning { held, promotion, by })
        }
        Err(error) => {
            warn!(%error, "what an experiment had promoted cannot be had; the configured strategy serves");
            prepare(desk, &configured)?;
            Ok(Beginning { held: configured, promotion: None, by: None })
        }
    }
}

/// What an experiment had promoted: from the shelf, or built in.
pub(super) fn load(promotion: &Promotion, loader: &Loader, shelf: Option<&Shelf>) -> Result<Held, SwapError> {
    let kept = shelf.and_then(|shelf| shelf.read(&promotion.digest));
    let plugin = match kept {
        Some(plugin) => {
            loader.intake().check_kept(&plugin.source.name, &plugin.provenance)?;
            plugin
        }
        None => {
            let name = promotion.strategy.split('@').next().unwrap_or_default();
            let found = built_in::find(name).map(|_| loader.intake().read(name, None)).transpose()?;
            found.filter(|found| found.provenance.digest.hex() == promotion.digest).ok_or_else(|| {
                SwapError::NotKept {
                    strategy: promotion.strategy.clone(),
                    digest: promotion.digest.clone(),
                    source_name: promotion.strategy.clone(),
                }
            })?
        }
    };
    Ok(loader.load_at_start(&plugin)?)
}
