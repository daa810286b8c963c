//! Users made from the command line, on the machine that holds the database: the first administrator.

use diesel::prelude::*;
use zeroize::Zeroizing;

use super::{UserKind, UserStatus, administrators, password, take_turn, username_flaw};
use crate::db::{Db, Deed};
use crate::error::{Code, Error, Result};
use crate::policy::Role;
use crate::schema::{organizations, role_grants, users};
use crate::types::{Id, TextEnum, business_today, new_code};

pub struct NewOperatorUser {
    pub username: String,
    pub name: String,
    pub kind: UserKind,
    pub role: Role,
    pub organization_code: Option<String>,
    pub password: Zeroizing<String>,
}

/// Creates a user with one grant.
pub fn create_user(db: &Db, user: &NewOperatorUser) -> Result<Id> {
    if let Some(flaw) = username_flaw(&user.username) {
        return Err(Error::field("/username", "invalid_username", flaw.zh, flaw.en));
    }
    if let Some(flaw) = password::flaw(user.kind, &user.password, &user.username) {
        return Err(Error::field("/password", "weak_password", flaw.zh, flaw.en));
    }
    if user.organization_code.is_none() && user.role != Role::PlatformAdmin {
        return Err(Error::field("/organization", "required", "此角色需要指定协会", "this role needs an organization"));
    }
    let hash = password::hash(&user.password)?;
    db.write_now(&Deed::of_operator("command line"), |tx| {
        // Two operators at once must not both be first.
        take_turn(tx)?;
        let taken: i64 = users::table.filter(users::username.eq(&user.username)).count().get_result(tx.conn)?;
        if taken > 0 {
            return Err(Error::because(Code::AlreadyExists, "用户名已存在", "the username exists"));
        }
        if user.role == Role::PlatformAdmin && administrators(tx)? > 0 {
            return Err(Error::because(
                Code::Conflict,
                "平台管理员已存在，命令行只用于建立第一位",
                "there is a platform administrator; the command line makes only the first",
            ));
        }
        let organization_id: Option<Id> = match &user.organization_code {
            None => None,
            Some(code) => Some(organizations::table.filter(organizations::code.eq(code)).select(organizations::id).first(tx.conn)?),
        };
        let id = Id::new();
        diesel::insert_into(users::table)
            .values((
                users::id.eq(id),
                users::code.eq(new_code()),
                users::organization_id.eq(organization_id),
                users::kind.eq(user.kind),
                users::username.eq(&user.username),
                users::name.eq(&user.name),
                users::password_hash.eq(&hash),
                users::must_change_password.eq(false),
                users::status.eq(UserStatus::Active),
                users::failed_attempts.eq(0),
                users::version.eq(1),
                users::created_at.eq(tx.now),
                users::updated_at.eq(tx.now),
            ))
            .execute(tx.conn)?;
        tx.index("users", id, None, Some(user.name.clone()));
        let grant_id = Id::new();
        diesel::insert_into(role_grants::table)
            .values((
                role_grants::id.eq(grant_id),
                role_grants::code.eq(new_code()),
                role_grants::user_id.eq(id),
                role_grants::role.eq(user.role),
                role_grants::organization_id.eq(organization_id),
                role_grants::from_on.eq(business_today(tx.now)),
                role_grants::version.eq(1),
                role_grants::created_at.eq(tx.now),
                role_grants::updated_at.eq(tx.now),
            ))
            .execute(tx.conn)?;
        let detail = serde_json::json!({"username": user.username, "role": user.role.code()});
        tx.audit("create", "users", Some(id), organization_id, Some(&detail));
        let detail = serde_json::json!({"user_id": id, "role": user.role.code()});
        tx.audit("create", "role_grants", Some(grant_id), organization_id, Some(&detail));
        Ok(id)
    })
}

/// Twenty characters that can be read aloud: 100 random bits.
pub fn generated_password() -> String {
    let (first, second) = (new_code(), new_code());
    format!("{}-{}-{}-{}", &first[..5], &first[5..], &second[..5], &second[5..])
}
