//! Dictionaries: enums that are `snake_case` text in JSON and in the database, with a label in two languages.

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema, extensions::ExtensionsBuilder};

/// An enum made by `text_enum!`.
pub trait TextEnum: Sized + Copy + 'static {
    const NAME: &'static str;
    /// Code, Chinese label, English label.
    const ENTRIES: &'static [(&'static str, &'static str, &'static str)];

    fn code(self) -> &'static str;
    fn from_code(code: &str) -> Option<Self>;

    fn all() -> impl Iterator<Item = Self> {
        Self::ENTRIES.iter().filter_map(|(code, ..)| Self::from_code(code))
    }

    /// What it is called, in Chinese and English.
    fn label(self) -> (&'static str, &'static str) {
        Self::ENTRIES.iter().find(|(code, ..)| *code == self.code()).map_or(("", ""), |(_, zh, en)| (zh, en))
    }

    /// The schema in the contract. `x-labels` carries the labels, so that `GET /dictionaries`, the import's
    /// headers and a front end's drop-down all read the same table.
    fn describe() -> RefOr<Schema> {
        let labels: serde_json::Map<String, serde_json::Value> =
            Self::ENTRIES.iter().map(|(code, zh, en)| ((*code).to_owned(), serde_json::json!({"label_zh": zh, "label_en": en}))).collect();
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Self::ENTRIES.iter().map(|(code, ..)| *code)))
            .extensions(Some(ExtensionsBuilder::new().add("x-labels", labels).build()))
            .into()
    }
}

macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $code:literal, $zh:literal, $en:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
        #[diesel(sql_type = diesel::sql_types::Text)]
        pub enum $name { $(#[serde(rename = $code)] $variant),+ }

        impl $crate::types::TextEnum for $name {
            const NAME: &'static str = stringify!($name);
            const ENTRIES: &'static [(&'static str, &'static str, &'static str)] = &[$(($code, $zh, $en)),+];

            fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }
            fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }

        impl<DB> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            str: diesel::serialize::ToSql<diesel::sql_types::Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut diesel::serialize::Output<'b, '_, DB>) -> diesel::serialize::Result {
                $crate::types::TextEnum::code(*self).to_sql(out)
            }
        }

        impl<DB> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            String: diesel::deserialize::FromSql<diesel::sql_types::Text, DB>,
        {
            fn from_sql(value: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                let text = <String as diesel::deserialize::FromSql<diesel::sql_types::Text, DB>>::from_sql(value)?;
                <Self as $crate::types::TextEnum>::from_code(&text)
                    .ok_or_else(|| format!("{} has no entry {text:?}", stringify!($name)).into())
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                <Self as $crate::types::TextEnum>::describe()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}
pub(crate) use text_enum;
