-- What the public finds on the map, among all that has no place or isn't there yet.
CREATE INDEX publicity_assets_on_map ON publicity_assets (id) WHERE longitude IS NOT NULL AND stage = 'completed';
CREATE INDEX workstations_on_map ON workstations (id) WHERE longitude IS NOT NULL AND status = 'active';
