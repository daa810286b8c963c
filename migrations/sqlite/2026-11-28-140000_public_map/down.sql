DROP INDEX publicity_assets_on_map;
DROP INDEX workstations_on_map;
