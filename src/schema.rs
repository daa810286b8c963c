//! The tables, as diesel knows them; `migrations/` is the source.

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    organizations (id) {
        id -> Uuid,
        code -> Text,
        name -> Text,
        short_name -> Nullable<Text>,
        kind -> Text,
        parent_id -> Nullable<Uuid>,
        division_code -> Nullable<Text>,
        status -> Text,
        established_on -> Nullable<Date>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    organization_closure (ancestor_id, descendant_id) {
        ancestor_id -> Uuid,
        descendant_id -> Uuid,
        depth -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    name_grams (resource, gram, record_id) {
        resource -> Text,
        gram -> Text,
        record_id -> Uuid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    persons (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        name -> Text,
        gender -> Nullable<Text>,
        id_number_sealed -> Nullable<Binary>,
        id_number_hash -> Nullable<Binary>,
        id_number_masked -> Nullable<Text>,
        phone_sealed -> Nullable<Binary>,
        phone_hash -> Nullable<Binary>,
        phone_masked -> Nullable<Text>,
        born_on -> Nullable<Date>,
        merged_into_id -> Nullable<Uuid>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    users (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Nullable<Uuid>,
        kind -> Text,
        username -> Text,
        name -> Text,
        person_id -> Nullable<Uuid>,
        password_hash -> Text,
        must_change_password -> Bool,
        status -> Text,
        failed_attempts -> Integer,
        locked_until -> Nullable<Instant>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    role_grants (id) {
        id -> Uuid,
        code -> Text,
        user_id -> Uuid,
        role -> Text,
        organization_id -> Nullable<Uuid>,
        from_on -> Date,
        to_on -> Nullable<Date>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        created_at -> Instant,
        last_used_at -> Instant,
        expires_at -> Instant,
        ended_at -> Nullable<Instant>,
        ended_because -> Nullable<Text>,
        wechat_binding_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    refresh_tokens (token_hash) {
        token_hash -> Binary,
        session_id -> Uuid,
        issued_at -> Instant,
        used_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    audit_events (id) {
        id -> Uuid,
        at -> Instant,
        actor_id -> Nullable<Uuid>,
        action -> Text,
        resource -> Text,
        record_id -> Nullable<Uuid>,
        organization_id -> Nullable<Uuid>,
        request_id -> Text,
        detail -> Nullable<Text>,
        address -> Nullable<Text>,
        outcome -> Text,
        person_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::Uuid;

    audit_links (sequence) {
        sequence -> BigInt,
        day -> Date,
        event_id -> Uuid,
        version -> Integer,
        hash -> Binary,
    }
}

diesel::table! {
    audit_checkpoints (day) {
        day -> Date,
        sequence -> BigInt,
        count -> BigInt,
        hash -> Binary,
        kid -> Text,
        signature -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    idempotency_keys (actor_id, key) {
        actor_id -> Uuid,
        key -> Text,
        fingerprint -> Binary,
        status -> Integer,
        location -> Nullable<Text>,
        etag -> Nullable<Text>,
        body -> Binary,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    imports (id) {
        id -> Uuid,
        code -> Text,
        actor_id -> Uuid,
        resource -> Text,
        mode -> Text,
        dry_run -> Bool,
        on_error -> Text,
        file_name -> Nullable<Text>,
        file_sha256 -> Text,
        outcome -> Nullable<Text>,
        rows_read -> BigInt,
        rows_created -> BigInt,
        rows_updated -> BigInt,
        rows_unchanged -> BigInt,
        rows_failed -> BigInt,
        faults -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
        file_bytes -> BigInt,
        options -> Text,
        last_row -> BigInt,
        repeats_id -> Nullable<Uuid>,
        finished_at -> Nullable<Instant>,
        undone_at -> Nullable<Instant>,
        format -> Nullable<Text>,
        encoding -> Nullable<Text>,
        compression -> Nullable<Text>,
        sheet -> Nullable<Text>,
        rows_left_out -> BigInt,
        ignored_columns -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    attachments (id) {
        id -> Uuid,
        organization_id -> Nullable<Uuid>,
        resource -> Text,
        record_id -> Uuid,
        file_name -> Text,
        caption -> Nullable<Text>,
        media_type -> Text,
        bytes -> BigInt,
        sha256 -> Text,
        width -> Nullable<Integer>,
        height -> Nullable<Integer>,
        storage_key -> Text,
        thumbnail_bytes -> Nullable<BigInt>,
        uploaded_by -> Uuid,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    export_files (id) {
        id -> Uuid,
        actor_id -> Uuid,
        resource -> Text,
        query -> Text,
        format -> Text,
        file_name -> Text,
        organization_id -> Nullable<Uuid>,
        begun_event_id -> Uuid,
        rows_written -> BigInt,
        bytes -> Nullable<BigInt>,
        created_at -> Instant,
        finished_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    export_file_pieces (export_file_id, position) {
        export_file_id -> Uuid,
        position -> Integer,
        sealed -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    import_files (import_id, position) {
        import_id -> Uuid,
        position -> Integer,
        sealed -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    import_outcomes (import_id, position) {
        import_id -> Uuid,
        position -> Integer,
        first_row -> BigInt,
        last_row -> BigInt,
        failed -> Integer,
        sealed -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    jobs (id) {
        id -> Uuid,
        kind -> Text,
        record_id -> Uuid,
        actor_id -> Uuid,
        request_id -> Text,
        address -> Nullable<Text>,
        language -> Text,
        state -> Text,
        attempts -> Integer,
        not_before -> Instant,
        leased_by -> Nullable<Uuid>,
        leased_until -> Nullable<Instant>,
        cancelled_by -> Nullable<Uuid>,
        progress -> Nullable<Text>,
        failure -> Nullable<Text>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    import_mappings (id) {
        id -> Uuid,
        user_id -> Uuid,
        name -> Text,
        resource -> Text,
        headers -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    workstations (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        name -> Text,
        host_kind -> Text,
        host_name -> Nullable<Text>,
        address -> Nullable<Text>,
        longitude -> Nullable<Double>,
        latitude -> Nullable<Double>,
        coordinate_system -> Nullable<Text>,
        commended -> Nullable<Bool>,
        established_on -> Nullable<Date>,
        status -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    appointments (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        person_id -> Uuid,
        workstation_id -> Nullable<Uuid>,
        post -> Text,
        from_on -> Date,
        from_on_precision -> Text,
        to_on -> Nullable<Date>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    volunteer_teams (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        name -> Nullable<Text>,
        base_kind -> Text,
        parent_id -> Nullable<Uuid>,
        workstation_id -> Nullable<Uuid>,
        leader_id -> Nullable<Uuid>,
        established_on -> Date,
        established_on_precision -> Text,
        flag_ceremony_on -> Nullable<Date>,
        status -> Text,
        disbanded_on -> Nullable<Date>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    volunteers (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        person_id -> Uuid,
        sector -> Text,
        status -> Text,
        registered_on -> Date,
        registered_on_precision -> Text,
        left_on -> Nullable<Date>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    memberships (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        volunteer_id -> Uuid,
        team_id -> Uuid,
        joined_on -> Date,
        joined_on_precision -> Text,
        left_on -> Nullable<Date>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    trainings (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        kind -> Text,
        topic -> Text,
        audience -> Text,
        year -> Integer,
        held_on -> Nullable<Date>,
        place -> Nullable<Text>,
        attendances -> Nullable<BigInt>,
        attendances_precision -> Text,
        distinct_people -> Nullable<BigInt>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    inspections (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        inspector_id -> Uuid,
        year -> Integer,
        inspected_on -> Nullable<Date>,
        topics -> Text,
        findings -> Nullable<Text>,
        plan_id -> Nullable<Uuid>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    circulars (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        number -> Nullable<Text>,
        title -> Nullable<Text>,
        subject -> Text,
        year -> Integer,
        issued_on -> Nullable<Date>,
        state -> Text,
        form_key -> Nullable<Text>,
        from_month -> Nullable<Text>,
        to_month -> Nullable<Text>,
        facts -> Nullable<Text>,
        generated_at -> Nullable<Instant>,
        text -> Nullable<Text>,
        issued_by -> Nullable<Uuid>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    targets (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        indicator -> Text,
        year -> Integer,
        value -> BigInt,
        unit -> Text,
        phase -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    publicity_assets (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        name -> Nullable<Text>,
        category -> Text,
        kind -> Nullable<Text>,
        parent_id -> Nullable<Uuid>,
        quantity -> Nullable<BigInt>,
        quantity_precision -> Text,
        unit -> Nullable<Text>,
        stage -> Text,
        stage_on -> Date,
        funding_route -> Nullable<Text>,
        address -> Nullable<Text>,
        longitude -> Nullable<Double>,
        latitude -> Nullable<Double>,
        coordinate_system -> Nullable<Text>,
        note -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    publicity_asset_stages (publicity_asset_id, effective_on) {
        publicity_asset_id -> Uuid,
        effective_on -> Date,
        effective_on_precision -> Text,
        stage -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    campaigns (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        name -> Text,
        kind -> Text,
        year -> Integer,
        starts_on -> Nullable<Date>,
        ends_on -> Nullable<Date>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    campaign_events (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        campaign_id -> Uuid,
        name -> Nullable<Text>,
        kind -> Text,
        year -> Integer,
        held_on -> Nullable<Date>,
        place -> Nullable<Text>,
        participants -> Nullable<BigInt>,
        participants_precision -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    placements (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        publicity_asset_id -> Uuid,
        campaign_id -> Nullable<Uuid>,
        content -> Text,
        year -> Integer,
        starts_on -> Nullable<Date>,
        ends_on -> Nullable<Date>,
        quantity -> Nullable<BigInt>,
        quantity_precision -> Text,
        proof -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    goods (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        name -> Text,
        kind -> Text,
        unit -> Text,
        stock -> BigInt,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    goods_movements (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        goods_id -> Uuid,
        direction -> Text,
        quantity -> BigInt,
        quantity_precision -> Text,
        year -> Integer,
        moved_on -> Nullable<Date>,
        note -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    media_items (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        campaign_id -> Nullable<Uuid>,
        title -> Nullable<Text>,
        kind -> Text,
        year -> Integer,
        published_on -> Nullable<Date>,
        quantity -> BigInt,
        quantity_precision -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    media_placements (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        media_item_id -> Uuid,
        outlet -> Text,
        outlet_level -> Text,
        published_on -> Nullable<Date>,
        url -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    demonstration_units (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        name -> Nullable<Text>,
        host_kind -> Nullable<Text>,
        workstation_id -> Nullable<Uuid>,
        stage -> Text,
        stage_on -> Date,
        note -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    demonstration_unit_stages (demonstration_unit_id, effective_on) {
        demonstration_unit_id -> Uuid,
        effective_on -> Date,
        effective_on_precision -> Text,
        stage -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    heroes (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        person_id -> Uuid,
        level -> Nullable<Text>,
        outcome -> Nullable<Text>,
        deed_kind -> Nullable<Text>,
        deed_on -> Nullable<Date>,
        deed_place -> Nullable<Text>,
        deed_summary -> Nullable<Text>,
        confirmed_by -> Nullable<Text>,
        confirmation_number -> Nullable<Text>,
        confirmed_on -> Nullable<Date>,
        status -> Text,
        application_source -> Nullable<Text>,
        group_id -> Nullable<Uuid>,
        revoked_on -> Nullable<Date>,
        revocation_number -> Nullable<Text>,
        revocation_reason -> Nullable<Text>,
        published -> Bool,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    dependants (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        person_id -> Uuid,
        hero_id -> Uuid,
        relation -> Text,
        from_on -> Nullable<Date>,
        to_on -> Nullable<Date>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    welfare_programmes (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        name -> Text,
        kind -> Text,
        form -> Text,
        starts_on -> Nullable<Date>,
        ends_on -> Nullable<Date>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    welfare_batches (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        programme_id -> Uuid,
        name -> Text,
        year -> Integer,
        starts_on -> Nullable<Date>,
        ends_on -> Nullable<Date>,
        place -> Nullable<Text>,
        control_people -> Nullable<BigInt>,
        control_fen -> Nullable<BigInt>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    disbursements (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        programme_id -> Uuid,
        batch_id -> Nullable<Uuid>,
        hero_id -> Nullable<Uuid>,
        dependant_id -> Nullable<Uuid>,
        people -> Nullable<BigInt>,
        people_precision -> Text,
        form -> Text,
        amount_fen -> Nullable<BigInt>,
        benefit -> Nullable<Text>,
        quantity -> Nullable<BigInt>,
        quantity_precision -> Text,
        channel -> Text,
        year -> Integer,
        state -> Text,
        reason -> Nullable<Text>,
        prepared_by -> Uuid,
        approved_by -> Nullable<Uuid>,
        paid_by -> Nullable<Uuid>,
        paid_on -> Nullable<Date>,
        paid_on_precision -> Text,
        second_approved_by -> Nullable<Uuid>,
        reversed_by -> Nullable<Uuid>,
        reversed_on -> Nullable<Date>,
        attended_days -> Nullable<Integer>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::Uuid;

    insurance_policies (disbursement_id) {
        disbursement_id -> Uuid,
        insurer -> Text,
        policy_number -> Text,
        insured_from -> Date,
        insured_to -> Date,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    eligibility_rules (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        programme_id -> Uuid,
        fact -> Text,
        min -> Nullable<Integer>,
        max -> Nullable<Integer>,
        one_of -> Nullable<Text>,
        effective_from -> Date,
        effective_to -> Nullable<Date>,
        note -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    accounts (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        name -> Text,
        kind -> Text,
        purposes -> Nullable<Text>,
        status -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    vouchers (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        kind -> Text,
        debit_account_id -> Uuid,
        credit_account_id -> Uuid,
        amount_fen -> BigInt,
        occurred_on -> Date,
        summary -> Text,
        donor -> Nullable<Text>,
        receipt_year -> Nullable<Integer>,
        receipt_number -> Nullable<Integer>,
        state -> Text,
        reason -> Nullable<Text>,
        prepared_by -> Uuid,
        posted_by -> Nullable<Uuid>,
        reversed_by -> Nullable<Uuid>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    ledger_transactions (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        kind -> Text,
        occurred_on -> Date,
        amount_fen -> BigInt,
        summary -> Text,
        voucher_id -> Nullable<Uuid>,
        disbursement_id -> Nullable<Uuid>,
        reverses_id -> Nullable<Uuid>,
        posted_by -> Uuid,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    ledger_entries (transaction_id, line) {
        transaction_id -> Uuid,
        line -> Integer,
        account_id -> Uuid,
        sequence -> BigInt,
        amount_fen -> BigInt,
        balance_fen -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    budgets (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        year -> Integer,
        programme_kind -> Text,
        planned_fen -> BigInt,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    hero_groups (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        name -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    honours (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        hero_id -> Uuid,
        kind -> Text,
        title -> Text,
        level -> Text,
        awarded_by -> Nullable<Text>,
        document_number -> Nullable<Text>,
        awarded_on -> Nullable<Date>,
        amount_fen -> Nullable<BigInt>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    consents (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        person_id -> Uuid,
        purpose -> Text,
        given_by -> Text,
        giver_name -> Nullable<Text>,
        giver_relation -> Nullable<Text>,
        given_on -> Date,
        withdrawn_on -> Nullable<Date>,
        withdrawal_reason -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    person_distinctions (earlier_id, later_id) {
        earlier_id -> Uuid,
        later_id -> Uuid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    person_merges (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        person_id -> Uuid,
        into_id -> Uuid,
        reason -> Text,
        moved -> Text,
        merged_by -> Uuid,
        undone_at -> Nullable<Instant>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    public_notices (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        batch_id -> Nullable<Uuid>,
        document_number -> Nullable<Text>,
        title -> Text,
        introduction -> Nullable<Text>,
        amounts -> Text,
        days -> Integer,
        state -> Text,
        reason -> Nullable<Text>,
        starts_on -> Nullable<Date>,
        ends_on -> Nullable<Date>,
        line_count -> Nullable<BigInt>,
        people -> Nullable<BigInt>,
        total_fen -> Nullable<BigInt>,
        prepared_by -> Uuid,
        published_by -> Nullable<Uuid>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::Uuid;

    public_notice_lines (notice_id, position) {
        notice_id -> Uuid,
        position -> Integer,
        naming -> Text,
        shown_name -> Nullable<Text>,
        organization_name -> Text,
        what -> Text,
        people -> Nullable<BigInt>,
        amount_fen -> Nullable<BigInt>,
        disbursement_id -> Nullable<Uuid>,
        honour_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::Uuid;

    public_notice_corrections (notice_id, number) {
        notice_id -> Uuid,
        number -> Integer,
        note -> Text,
        corrected_on -> Date,
        corrected_by -> Uuid,
        changed_lines -> BigInt,
        changes -> Text,
        total_fen_before -> Nullable<BigInt>,
        total_fen_after -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    notice_objections (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        notice_id -> Uuid,
        received_on -> Date,
        channel -> Text,
        objector -> Nullable<Text>,
        content -> Text,
        state -> Text,
        outcome -> Nullable<Text>,
        answer -> Nullable<Text>,
        answered_on -> Nullable<Date>,
        answered_by -> Nullable<Uuid>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

// Whom a record is about is shown along with it.
diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    payee_accounts (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        person_id -> Uuid,
        holder_name -> Text,
        holder_relation -> Nullable<Text>,
        bank_name -> Text,
        number_sealed -> Binary,
        number_hash -> Binary,
        number_masked -> Text,
        card_checks -> Nullable<Bool>,
        status -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    bank_transfers (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        account_id -> Uuid,
        batch_id -> Nullable<Uuid>,
        lines -> Integer,
        amount_fen -> BigInt,
        state -> Text,
        reason -> Nullable<Text>,
        prepared_by -> Uuid,
        sent_at -> Nullable<Instant>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    bank_transfer_lines (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        transfer_id -> Uuid,
        position -> Integer,
        disbursement_id -> Uuid,
        payee_account_id -> Uuid,
        amount_fen -> BigInt,
        state -> Text,
        settled_on -> Nullable<Date>,
        bank_reason -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    bank_result_mismatches (id) {
        id -> Uuid,
        transfer_id -> Uuid,
        reference -> Text,
        amount_fen -> BigInt,
        outcome -> Text,
        mismatch -> Text,
        bank_reason -> Nullable<Text>,
        settled_on -> Nullable<Date>,
        created_at -> Instant,
    }
}

diesel::table! {
    outbox_position (id) {
        id -> Integer,
        sequence -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    webhooks (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        name -> Text,
        url -> Text,
        event_types -> Text,
        enabled -> Bool,
        former_secret_until -> Nullable<Instant>,
        secret_sealed -> Binary,
        former_secret_sealed -> Nullable<Binary>,
        due_at -> Nullable<Instant>,
        failures -> Integer,
        leased_by -> Nullable<Uuid>,
        leased_until -> Nullable<Instant>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    webhook_deliveries (id) {
        id -> Uuid,
        webhook_id -> Uuid,
        organization_id -> Uuid,
        event_id -> Uuid,
        event_type -> Text,
        sequence -> Nullable<BigInt>,
        position -> BigInt,
        event_at -> Instant,
        event_organization_id -> Uuid,
        resource -> Text,
        record_id -> Uuid,
        state -> Text,
        expires_at -> Instant,
        delivered_at -> Nullable<Instant>,
        attempt_count -> Integer,
        attempts -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    notifications (id) {
        id -> Uuid,
        user_id -> Uuid,
        kind -> Text,
        resource -> Text,
        record_id -> Uuid,
        event_id -> Uuid,
        at -> Instant,
        read_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    wechat_bindings (id) {
        id -> Uuid,
        user_id -> Uuid,
        app_id -> Text,
        openid_sealed -> Binary,
        openid_hash -> Binary,
        unionid_sealed -> Nullable<Binary>,
        unionid_hash -> Nullable<Binary>,
        bound_by -> Text,
        bound_at -> Instant,
        ended_at -> Nullable<Instant>,
        ended_because -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    wechat_tickets (id) {
        id -> Uuid,
        ticket_hash -> Binary,
        app_id -> Text,
        openid_sealed -> Binary,
        unionid_sealed -> Nullable<Binary>,
        tries -> Integer,
        created_at -> Instant,
        expires_at -> Instant,
        used_at -> Nullable<Instant>,
        binding_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    wechat_binding_codes (id) {
        id -> Uuid,
        user_id -> Uuid,
        code_hash -> Binary,
        issued_by -> Uuid,
        created_at -> Instant,
        expires_at -> Instant,
        used_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    wechat_tokens (id) {
        id -> Uuid,
        app_id -> Text,
        sealed -> Nullable<Binary>,
        expires_at -> Nullable<Instant>,
        forced_at -> Nullable<Instant>,
        quota_until -> Nullable<Instant>,
        leased_by -> Nullable<Uuid>,
        leased_until -> Nullable<Instant>,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    wechat_templates (id) {
        id -> Uuid,
        app_id -> Text,
        kind -> Text,
        template_id -> Text,
        fields -> Text,
        page -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    wechat_credits (binding_id, template_id) {
        binding_id -> Uuid,
        template_id -> Text,
        credits -> Integer,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    wechat_messages (id) {
        id -> Uuid,
        binding_id -> Uuid,
        kind -> Text,
        template_id -> Text,
        sealed -> Binary,
        state -> Text,
        attempts -> Integer,
        not_before -> Instant,
        leased_by -> Nullable<Uuid>,
        leased_until -> Nullable<Instant>,
        failure -> Nullable<Text>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    wechat_qr_codes (id) {
        id -> Uuid,
        app_id -> Text,
        resource -> Text,
        record_id -> Uuid,
        page -> Text,
        environment -> Text,
        media_type -> Text,
        image -> Binary,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    service_records (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        volunteer_id -> Uuid,
        team_id -> Nullable<Uuid>,
        campaign_event_id -> Nullable<Uuid>,
        note -> Nullable<Text>,
        started_at -> Instant,
        ended_at -> Nullable<Instant>,
        minutes -> Nullable<BigInt>,
        state -> Text,
        confirmed_by -> Nullable<Uuid>,
        reason -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    certificates (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        volunteer_id -> Uuid,
        from_on -> Date,
        to_on -> Date,
        minutes -> BigInt,
        records -> BigInt,
        verification_code -> Text,
        state -> Text,
        reason -> Nullable<Text>,
        issued_by -> Uuid,
        issued_on -> Date,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    contact_changes (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        person_id -> Uuid,
        phone_sealed -> Nullable<Binary>,
        phone_masked -> Text,
        note -> Nullable<Text>,
        state -> Text,
        reason -> Nullable<Text>,
        requested_by -> Uuid,
        decided_by -> Nullable<Uuid>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    standards (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        key -> Text,
        number -> Integer,
        title -> Text,
        subject -> Text,
        items -> Text,
        levels -> Text,
        valid_months -> Nullable<Integer>,
        state -> Text,
        published_by -> Nullable<Uuid>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    assessments (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        standard_id -> Uuid,
        subject -> Text,
        workstation_id -> Nullable<Uuid>,
        demonstration_unit_id -> Nullable<Uuid>,
        volunteer_team_id -> Nullable<Uuid>,
        subject_organization_id -> Nullable<Uuid>,
        assessed_on -> Date,
        note -> Nullable<Text>,
        state -> Text,
        reason -> Nullable<Text>,
        total -> Nullable<BigInt>,
        maximum_total -> BigInt,
        level -> Nullable<Text>,
        expires_on -> Nullable<Date>,
        prepared_by -> Uuid,
        submitted_by -> Nullable<Uuid>,
        accepted_by -> Nullable<Uuid>,
        accepted_on -> Nullable<Date>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::Uuid;

    assessment_items (assessment_id, position) {
        assessment_id -> Uuid,
        position -> Integer,
        key -> Text,
        met -> Nullable<Bool>,
        score -> Nullable<Integer>,
        count -> Nullable<Integer>,
        note -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::Uuid;

    assessment_evidence (assessment_id, position, place) {
        assessment_id -> Uuid,
        position -> Integer,
        place -> Integer,
        attachment_id -> Uuid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    return_forms (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        key -> Text,
        number -> Integer,
        title -> Text,
        figures -> Text,
        sums -> Text,
        jump_percent -> Nullable<Integer>,
        due_day -> Integer,
        remind_days -> Integer,
        opens_itself -> Bool,
        state -> Text,
        published_by -> Nullable<Uuid>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    return_rounds (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        form_id -> Uuid,
        form_key -> Text,
        month -> Text,
        due_on -> Date,
        state -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    monthly_returns (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        round_id -> Uuid,
        form_id -> Uuid,
        form_key -> Text,
        month -> Text,
        due_on -> Date,
        state -> Text,
        revision -> Integer,
        note -> Nullable<Text>,
        reason -> Nullable<Text>,
        computed_at -> Instant,
        first_submitted_on -> Nullable<Date>,
        submitted_at -> Nullable<Instant>,
        submitted_by -> Nullable<Uuid>,
        accepted_at -> Nullable<Instant>,
        accepted_by -> Nullable<Uuid>,
        reminded_on -> Nullable<Date>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    monthly_return_cells (return_id, position) {
        return_id -> Uuid,
        position -> Integer,
        figure -> Text,
        computed -> Nullable<BigInt>,
        computed_precision -> Text,
        records -> BigInt,
        declared -> Nullable<BigInt>,
        declared_precision -> Text,
        reason -> Nullable<Text>,
        objection -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    monthly_return_revisions (return_id, revision) {
        return_id -> Uuid,
        revision -> Integer,
        cells -> Text,
        submitted_at -> Instant,
        submitted_by -> Uuid,
        accepted_at -> Instant,
        accepted_by -> Uuid,
        amended_at -> Instant,
        amended_by -> Uuid,
        reason -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    work_items (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        year -> Integer,
        kind -> Text,
        position -> Integer,
        content -> Text,
        owner_id -> Nullable<Uuid>,
        due_on -> Nullable<Date>,
        state -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    report_outlines (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        sections -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    report_snapshots (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        year -> Integer,
        note -> Nullable<Text>,
        report -> Text,
        marks -> Text,
        hash -> Text,
        frozen_by -> Uuid,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    inspection_plans (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        title -> Text,
        from_on -> Date,
        to_on -> Date,
        topics -> Text,
        members -> Text,
        state -> Text,
        reason -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    inspection_plan_subjects (plan_id, organization_id) {
        plan_id -> Uuid,
        organization_id -> Uuid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    inspection_findings (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        inspection_id -> Uuid,
        severity -> Text,
        description -> Text,
        fixed_on_the_spot -> Bool,
        owner_id -> Nullable<Uuid>,
        due_on -> Nullable<Date>,
        state -> Text,
        remedy_note -> Nullable<Text>,
        remedied_on -> Nullable<Date>,
        remedied_by -> Nullable<Uuid>,
        closed_on -> Nullable<Date>,
        closed_by -> Nullable<Uuid>,
        reason -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    liaison_questionings (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        inspection_id -> Nullable<Uuid>,
        appointment_id -> Uuid,
        asked_on -> Date,
        questions -> Text,
        asked -> Integer,
        correct -> Integer,
        result -> Text,
        note -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    training_attendances (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        training_id -> Uuid,
        person_id -> Uuid,
        attended_on -> Date,
        times -> BigInt,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    commendation_rounds (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        title -> Text,
        year -> Integer,
        kind -> Text,
        quota -> Integer,
        opens_on -> Date,
        closes_on -> Date,
        state -> Text,
        announced_on -> Nullable<Date>,
        announced_days -> Nullable<Integer>,
        announced_until -> Nullable<Date>,
        document_number -> Nullable<Text>,
        awarded_on -> Nullable<Date>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    nominations (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        round_id -> Uuid,
        workstation_id -> Nullable<Uuid>,
        appointment_id -> Nullable<Uuid>,
        merits -> Text,
        state -> Text,
        submitted_by -> Nullable<Uuid>,
        decided_by -> Nullable<Uuid>,
        reason -> Nullable<Text>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::sql::{Instant, Uuid};

    policy_documents (id) {
        id -> Uuid,
        code -> Text,
        organization_id -> Uuid,
        number -> Text,
        title -> Text,
        issuer -> Text,
        issued_on -> Date,
        state -> Text,
        superseded_by_id -> Nullable<Uuid>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::joinable!(service_records -> volunteers (volunteer_id));
diesel::joinable!(certificates -> volunteers (volunteer_id));
diesel::joinable!(contact_changes -> persons (person_id));
diesel::joinable!(appointments -> persons (person_id));
diesel::joinable!(consents -> persons (person_id));
diesel::joinable!(dependants -> persons (person_id));
diesel::joinable!(heroes -> persons (person_id));
diesel::joinable!(insurance_policies -> disbursements (disbursement_id));
diesel::joinable!(ledger_entries -> accounts (account_id));
diesel::joinable!(memberships -> volunteer_teams (team_id));
diesel::joinable!(memberships -> volunteers (volunteer_id));
diesel::joinable!(payee_accounts -> persons (person_id));
diesel::joinable!(monthly_returns -> organizations (organization_id));
diesel::joinable!(monthly_return_cells -> monthly_returns (return_id));
diesel::joinable!(public_notices -> organizations (organization_id));
diesel::joinable!(training_attendances -> persons (person_id));
diesel::joinable!(volunteers -> persons (person_id));

// What was spent, by whom, in which year, on what.
diesel::allow_columns_to_appear_in_same_group_by_clause!(
    disbursements::organization_id,
    disbursements::year,
    welfare_programmes::kind,
    disbursements::state,
);

// How often each person was given something, by year.
diesel::allow_columns_to_appear_in_same_group_by_clause!(heroes::person_id, disbursements::year);
diesel::allow_columns_to_appear_in_same_group_by_clause!(dependants::person_id, disbursements::year);

diesel::table! {
    rates (class, caller) {
        class -> Text,
        caller -> Text,
        full_at -> BigInt,
    }
}

diesel::table! {
    name_index (version) {
        version -> Integer,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    accounts,
    appointments,
    assessment_evidence,
    assessment_items,
    assessments,
    attachments,
    audit_checkpoints,
    audit_events,
    audit_links,
    bank_result_mismatches,
    bank_transfer_lines,
    bank_transfers,
    budgets,
    campaign_events,
    campaigns,
    circulars,
    consents,
    demonstration_unit_stages,
    demonstration_units,
    dependants,
    disbursements,
    eligibility_rules,
    goods,
    goods_movements,
    hero_groups,
    heroes,
    honours,
    idempotency_keys,
    export_file_pieces,
    export_files,
    import_files,
    import_outcomes,
    import_mappings,
    imports,
    jobs,
    inspections,
    policy_documents,
    nominations,
    commendation_rounds,
    training_attendances,
    liaison_questionings,
    inspection_findings,
    inspection_plan_subjects,
    inspection_plans,
    insurance_policies,
    ledger_entries,
    ledger_transactions,
    media_items,
    media_placements,
    memberships,
    monthly_return_cells,
    monthly_return_revisions,
    monthly_returns,
    name_grams,
    name_index,
    notice_objections,
    notifications,
    organization_closure,
    organizations,
    outbox_position,
    payee_accounts,
    person_distinctions,
    person_merges,
    persons,
    placements,
    public_notice_corrections,
    public_notice_lines,
    public_notices,
    publicity_asset_stages,
    publicity_assets,
    rates,
    refresh_tokens,
    report_outlines,
    report_snapshots,
    return_forms,
    return_rounds,
    role_grants,
    sessions,
    standards,
    targets,
    trainings,
    users,
    volunteer_teams,
    volunteers,
    vouchers,
    webhook_deliveries,
    webhooks,
    wechat_binding_codes,
    wechat_bindings,
    wechat_credits,
    wechat_messages,
    wechat_qr_codes,
    wechat_templates,
    wechat_tickets,
    wechat_tokens,
    certificates,
    contact_changes,
    service_records,
    welfare_batches,
    welfare_programmes,
    work_items,
    workstations,
);
