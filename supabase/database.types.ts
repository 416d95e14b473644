// Generated from the catalog by `harmonia reference`; do not edit.
export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  public: {
    Tables: {
      activities: {
        Row: {
          organization_id: string
          id: string
          kind: "task" | "note" | "call" | "meeting"
          status: "open" | "done" | "cancelled"
          priority: "low" | "normal" | "high"
          subject: string
          body_html: string | null
          due_at: string | null
          starts_at: string | null
          ends_at: string | null
          completed_at: string | null
          completed_by: string | null
          direction: "inbound" | "outbound" | null
          outcome: string | null
          duration_seconds: number | null
          location: string | null
          meeting_url: string | null
          company_id: string | null
          contact_id: string | null
          deal_id: string | null
          custom_fields: Json
          owner_id: string | null
          team_id: string | null
          created_by: string | null
          created_at: string
          updated_at: string
          deleted_at: string | null
        }
        Insert: {
          organization_id: string
          id?: string
          kind: "task" | "note" | "call" | "meeting"
          status?: "open" | "done" | "cancelled"
          priority?: "low" | "normal" | "high"
          subject: string
          body_html?: string | null
          due_at?: string | null
          starts_at?: string | null
          ends_at?: string | null
          direction?: "inbound" | "outbound" | null
          outcome?: string | null
          duration_seconds?: number | null
          location?: string | null
          meeting_url?: string | null
          company_id?: string | null
          contact_id?: string | null
          deal_id?: string | null
          custom_fields?: Json
          owner_id?: string | null
          team_id?: string | null
        }
        Update: {
          status?: "open" | "done" | "cancelled"
          priority?: "low" | "normal" | "high"
          subject?: string
          body_html?: string | null
          due_at?: string | null
          starts_at?: string | null
          ends_at?: string | null
          direction?: "inbound" | "outbound" | null
          outcome?: string | null
          duration_seconds?: number | null
          location?: string | null
          meeting_url?: string | null
          company_id?: string | null
          contact_id?: string | null
          deal_id?: string | null
          custom_fields?: Json
          owner_id?: string | null
          team_id?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "activities_company_fkey"
            columns: ["organization_id", "company_id"]
            isOneToOne: false
            referencedRelation: "companies"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "activities_contact_fkey"
            columns: ["organization_id", "contact_id"]
            isOneToOne: false
            referencedRelation: "contacts"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "activities_deal_fkey"
            columns: ["organization_id", "deal_id"]
            isOneToOne: false
            referencedRelation: "deals"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "activities_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "activities_owner_fkey"
            columns: ["organization_id", "owner_id"]
            isOneToOne: false
            referencedRelation: "memberships"
            referencedColumns: ["organization_id", "user_id"]
          },
          {
            foreignKeyName: "activities_team_fkey"
            columns: ["organization_id", "team_id"]
            isOneToOne: false
            referencedRelation: "teams"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      allowed_origins: {
        Row: {
          organization_id: string
          origin: string
          created_at: string
        }
        Insert: {
          organization_id: string
          origin: string
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "allowed_origins_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      api_key_permissions: {
        Row: {
          organization_id: string
          api_key_id: string
          permission: string
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "api_key_permissions_api_key_fkey"
            columns: ["organization_id", "api_key_id"]
            isOneToOne: false
            referencedRelation: "api_keys"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "api_key_permissions_permission_fkey"
            columns: ["permission"]
            isOneToOne: false
            referencedRelation: "permissions"
            referencedColumns: ["key"]
          },
        ]
      }
      api_keys: {
        Row: {
          organization_id: string
          id: string
          name: string
          hint: string
          created_by: string | null
          created_at: string
          made_at_aal2: boolean
          expires_at: string
          revoked_at: string | null
          last_used_at: string | null
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "api_keys_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      audit_events: {
        Row: {
          organization_id: string | null
          at: string | null
          statement: number | null
          position: number | null
          actor_id: string | null
          actor_kind: string | null
          session_id: string | null
          aal: string | null
          support_grant_id: string | null
          api_key_id: string | null
          request_id: string | null
          action: string | null
          table_name: string | null
          record_key: string | null
          payload: Json | null
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
        ]
      }
      builtin_role_permissions: {
        Row: {
          role: "owner" | "admin" | "manager" | "member" | "viewer"
          permission: string
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "builtin_role_permissions_permission_fkey"
            columns: ["permission"]
            isOneToOne: false
            referencedRelation: "permissions"
            referencedColumns: ["key"]
          },
        ]
      }
      call_transcripts: {
        Row: {
          organization_id: string
          id: string
          activity_id: string
          language: string | null
          provider: string | null
          content_html: string
          summary_html: string | null
          created_by: string | null
          created_at: string
          updated_at: string
          owner_id: string | null
          team_id: string | null
        }
        Insert: {
          organization_id: string
          id?: string
          activity_id: string
          language?: string | null
          provider?: string | null
          content_html: string
          summary_html?: string | null
        }
        Update: {
          language?: string | null
          provider?: string | null
          content_html?: string
          summary_html?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "call_transcripts_activity_fkey"
            columns: ["organization_id", "activity_id"]
            isOneToOne: false
            referencedRelation: "activities"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "call_transcripts_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      companies: {
        Row: {
          organization_id: string
          id: string
          name: string
          status: "prospect" | "customer" | "partner" | "supplier" | "former"
          domain: string | null
          website_url: string | null
          industry: string | null
          email: string | null
          phone: string | null
          employee_count: number | null
          description: string | null
          street: string | null
          city: string | null
          region: string | null
          postal_code: string | null
          country: string | null
          custom_fields: Json
          owner_id: string | null
          team_id: string | null
          created_by: string | null
          created_at: string
          updated_at: string
          deleted_at: string | null
        }
        Insert: {
          organization_id: string
          id?: string
          name: string
          status?: "prospect" | "customer" | "partner" | "supplier" | "former"
          domain?: string | null
          website_url?: string | null
          industry?: string | null
          email?: string | null
          phone?: string | null
          employee_count?: number | null
          description?: string | null
          street?: string | null
          city?: string | null
          region?: string | null
          postal_code?: string | null
          country?: string | null
          custom_fields?: Json
          owner_id?: string | null
          team_id?: string | null
        }
        Update: {
          name?: string
          status?: "prospect" | "customer" | "partner" | "supplier" | "former"
          domain?: string | null
          website_url?: string | null
          industry?: string | null
          email?: string | null
          phone?: string | null
          employee_count?: number | null
          description?: string | null
          street?: string | null
          city?: string | null
          region?: string | null
          postal_code?: string | null
          country?: string | null
          custom_fields?: Json
          owner_id?: string | null
          team_id?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "companies_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "companies_owner_fkey"
            columns: ["organization_id", "owner_id"]
            isOneToOne: false
            referencedRelation: "memberships"
            referencedColumns: ["organization_id", "user_id"]
          },
          {
            foreignKeyName: "companies_team_fkey"
            columns: ["organization_id", "team_id"]
            isOneToOne: false
            referencedRelation: "teams"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      company_tags: {
        Row: {
          organization_id: string
          company_id: string
          tag_id: string
          created_by: string | null
          created_at: string
          owner_id: string | null
          team_id: string | null
        }
        Insert: {
          organization_id: string
          company_id: string
          tag_id: string
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "company_tags_company_fkey"
            columns: ["organization_id", "company_id"]
            isOneToOne: false
            referencedRelation: "companies"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "company_tags_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "company_tags_tag_fkey"
            columns: ["organization_id", "tag_id"]
            isOneToOne: false
            referencedRelation: "tags"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      contact_tags: {
        Row: {
          organization_id: string
          contact_id: string
          tag_id: string
          created_by: string | null
          created_at: string
          owner_id: string | null
          team_id: string | null
        }
        Insert: {
          organization_id: string
          contact_id: string
          tag_id: string
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "contact_tags_contact_fkey"
            columns: ["organization_id", "contact_id"]
            isOneToOne: false
            referencedRelation: "contacts"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "contact_tags_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "contact_tags_tag_fkey"
            columns: ["organization_id", "tag_id"]
            isOneToOne: false
            referencedRelation: "tags"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      contacts: {
        Row: {
          organization_id: string
          id: string
          company_id: string | null
          first_name: string | null
          last_name: string | null
          full_name: string
          email: string | null
          phone: string | null
          job_title: string | null
          status: "lead" | "qualified" | "customer" | "inactive"
          source: string | null
          website_url: string | null
          description: string | null
          city: string | null
          country: string | null
          do_not_contact: boolean
          custom_fields: Json
          owner_id: string | null
          team_id: string | null
          created_by: string | null
          created_at: string
          updated_at: string
          deleted_at: string | null
        }
        Insert: {
          organization_id: string
          id?: string
          company_id?: string | null
          first_name?: string | null
          last_name?: string | null
          email?: string | null
          phone?: string | null
          job_title?: string | null
          status?: "lead" | "qualified" | "customer" | "inactive"
          source?: string | null
          website_url?: string | null
          description?: string | null
          city?: string | null
          country?: string | null
          do_not_contact?: boolean
          custom_fields?: Json
          owner_id?: string | null
          team_id?: string | null
        }
        Update: {
          company_id?: string | null
          first_name?: string | null
          last_name?: string | null
          email?: string | null
          phone?: string | null
          job_title?: string | null
          status?: "lead" | "qualified" | "customer" | "inactive"
          source?: string | null
          website_url?: string | null
          description?: string | null
          city?: string | null
          country?: string | null
          do_not_contact?: boolean
          custom_fields?: Json
          owner_id?: string | null
          team_id?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "contacts_company_fkey"
            columns: ["organization_id", "company_id"]
            isOneToOne: false
            referencedRelation: "companies"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "contacts_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "contacts_owner_fkey"
            columns: ["organization_id", "owner_id"]
            isOneToOne: false
            referencedRelation: "memberships"
            referencedColumns: ["organization_id", "user_id"]
          },
          {
            foreignKeyName: "contacts_team_fkey"
            columns: ["organization_id", "team_id"]
            isOneToOne: false
            referencedRelation: "teams"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      conversations: {
        Row: {
          organization_id: string
          id: string
          channel: "email" | "sms" | "chat" | "whatsapp" | "phone" | "other"
          subject: string | null
          status: "open" | "pending" | "closed"
          external_id: string | null
          company_id: string | null
          contact_id: string | null
          deal_id: string | null
          last_message_at: string | null
          owner_id: string | null
          team_id: string | null
          created_by: string | null
          created_at: string
          updated_at: string
          deleted_at: string | null
        }
        Insert: {
          organization_id: string
          id?: string
          channel: "email" | "sms" | "chat" | "whatsapp" | "phone" | "other"
          subject?: string | null
          status?: "open" | "pending" | "closed"
          external_id?: string | null
          company_id?: string | null
          contact_id?: string | null
          deal_id?: string | null
          owner_id?: string | null
          team_id?: string | null
        }
        Update: {
          channel?: "email" | "sms" | "chat" | "whatsapp" | "phone" | "other"
          subject?: string | null
          status?: "open" | "pending" | "closed"
          external_id?: string | null
          company_id?: string | null
          contact_id?: string | null
          deal_id?: string | null
          owner_id?: string | null
          team_id?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "conversations_company_fkey"
            columns: ["organization_id", "company_id"]
            isOneToOne: false
            referencedRelation: "companies"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "conversations_contact_fkey"
            columns: ["organization_id", "contact_id"]
            isOneToOne: false
            referencedRelation: "contacts"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "conversations_deal_fkey"
            columns: ["organization_id", "deal_id"]
            isOneToOne: false
            referencedRelation: "deals"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "conversations_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "conversations_owner_fkey"
            columns: ["organization_id", "owner_id"]
            isOneToOne: false
            referencedRelation: "memberships"
            referencedColumns: ["organization_id", "user_id"]
          },
          {
            foreignKeyName: "conversations_team_fkey"
            columns: ["organization_id", "team_id"]
            isOneToOne: false
            referencedRelation: "teams"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      custom_field_definitions: {
        Row: {
          organization_id: string
          id: string
          object: "company" | "contact" | "deal" | "activity"
          key: string
          label: string
          type: "select" | "multi_select"
          required: boolean
          options: Json | null
          position: number
          archived_at: string | null
          created_at: string
          updated_at: string
        }
        Insert: {
          organization_id: string
          id?: string
          object: "company" | "contact" | "deal" | "activity"
          key: string
          label: string
          type: "select" | "multi_select"
          required?: boolean
          options?: Json | null
          position?: number
          archived_at?: string | null
        }
        Update: {
          label?: string
          required?: boolean
          options?: Json | null
          position?: number
          archived_at?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "custom_field_definitions_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      deal_contacts: {
        Row: {
          organization_id: string
          deal_id: string
          contact_id: string
          role: "decision_maker" | "champion" | "influencer" | "user" | "other"
          created_by: string | null
          created_at: string
          owner_id: string | null
          team_id: string | null
        }
        Insert: {
          organization_id: string
          deal_id: string
          contact_id: string
          role?: "decision_maker" | "champion" | "influencer" | "user" | "other"
        }
        Update: {
          role?: "decision_maker" | "champion" | "influencer" | "user" | "other"
        }
        Relationships: [
          {
            foreignKeyName: "deal_contacts_contact_fkey"
            columns: ["organization_id", "contact_id"]
            isOneToOne: false
            referencedRelation: "contacts"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "deal_contacts_deal_fkey"
            columns: ["organization_id", "deal_id"]
            isOneToOne: false
            referencedRelation: "deals"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "deal_contacts_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      deal_stage_history: {
        Row: {
          organization_id: string
          id: string
          deal_id: string
          from_stage_id: string | null
          to_stage_id: string | null
          status: "open" | "won" | "lost"
          amount_minor: number
          currency: string
          seconds_in_stage: number | null
          moved_by: string | null
          moved_at: string
          owner_id: string | null
          team_id: string | null
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "deal_stage_history_deal_fkey"
            columns: ["organization_id", "deal_id"]
            isOneToOne: false
            referencedRelation: "deals"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "deal_stage_history_from_stage_fkey"
            columns: ["organization_id", "from_stage_id"]
            isOneToOne: false
            referencedRelation: "pipeline_stages"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "deal_stage_history_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "deal_stage_history_to_stage_fkey"
            columns: ["organization_id", "to_stage_id"]
            isOneToOne: false
            referencedRelation: "pipeline_stages"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      deal_tags: {
        Row: {
          organization_id: string
          deal_id: string
          tag_id: string
          created_by: string | null
          created_at: string
          owner_id: string | null
          team_id: string | null
        }
        Insert: {
          organization_id: string
          deal_id: string
          tag_id: string
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "deal_tags_deal_fkey"
            columns: ["organization_id", "deal_id"]
            isOneToOne: false
            referencedRelation: "deals"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "deal_tags_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "deal_tags_tag_fkey"
            columns: ["organization_id", "tag_id"]
            isOneToOne: false
            referencedRelation: "tags"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      deals: {
        Row: {
          organization_id: string
          id: string
          pipeline_id: string
          stage_id: string
          company_id: string | null
          name: string
          status: "open" | "won" | "lost"
          amount_minor: number
          currency: string
          expected_close_on: string | null
          stage_entered_at: string
          closed_at: string | null
          lost_reason: string | null
          description: string | null
          custom_fields: Json
          owner_id: string | null
          team_id: string | null
          created_by: string | null
          created_at: string
          updated_at: string
          deleted_at: string | null
        }
        Insert: {
          organization_id: string
          id?: string
          pipeline_id: string
          stage_id: string
          company_id?: string | null
          name: string
          amount_minor?: number
          currency: string
          expected_close_on?: string | null
          lost_reason?: string | null
          description?: string | null
          custom_fields?: Json
          owner_id?: string | null
          team_id?: string | null
        }
        Update: {
          pipeline_id?: string
          stage_id?: string
          company_id?: string | null
          name?: string
          amount_minor?: number
          currency?: string
          expected_close_on?: string | null
          lost_reason?: string | null
          description?: string | null
          custom_fields?: Json
          owner_id?: string | null
          team_id?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "deals_company_fkey"
            columns: ["organization_id", "company_id"]
            isOneToOne: false
            referencedRelation: "companies"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "deals_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "deals_owner_fkey"
            columns: ["organization_id", "owner_id"]
            isOneToOne: false
            referencedRelation: "memberships"
            referencedColumns: ["organization_id", "user_id"]
          },
          {
            foreignKeyName: "deals_pipeline_fkey"
            columns: ["organization_id", "pipeline_id"]
            isOneToOne: false
            referencedRelation: "pipelines"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "deals_stage_fkey"
            columns: ["organization_id", "pipeline_id", "stage_id"]
            isOneToOne: false
            referencedRelation: "pipeline_stages"
            referencedColumns: ["organization_id", "pipeline_id", "id"]
          },
          {
            foreignKeyName: "deals_team_fkey"
            columns: ["organization_id", "team_id"]
            isOneToOne: false
            referencedRelation: "teams"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      export_jobs: {
        Row: {
          organization_id: string
          id: string
          object: "company" | "contact" | "deal" | "activity" | "conversation" | "everything"
          format: "csv" | "json"
          filter: Json
          status: "queued" | "running" | "done" | "failed" | "cancelled" | "expired"
          file_id: string | null
          row_count: number | null
          error: string | null
          created_by: string | null
          created_at: string
          updated_at: string
          finished_at: string | null
          expires_at: string
        }
        Insert: {
          organization_id: string
          id?: string
          object: "company" | "contact" | "deal" | "activity" | "conversation" | "everything"
          format?: "csv" | "json"
          filter?: Json
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "export_jobs_file_fkey"
            columns: ["organization_id", "file_id"]
            isOneToOne: false
            referencedRelation: "files"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "export_jobs_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      files: {
        Row: {
          organization_id: string
          id: string
          bucket: string
          path: string
          name: string
          content_type: string
          size_bytes: number
          sha256: string | null
          company_id: string | null
          contact_id: string | null
          deal_id: string | null
          activity_id: string | null
          owner_id: string | null
          team_id: string | null
          created_by: string | null
          created_at: string
          updated_at: string
          deleted_at: string | null
        }
        Insert: {
          organization_id: string
          id?: string
          path: string
          name: string
          content_type?: string
          size_bytes?: number
          sha256?: string | null
          company_id?: string | null
          contact_id?: string | null
          deal_id?: string | null
          activity_id?: string | null
          owner_id?: string | null
          team_id?: string | null
        }
        Update: {
          name?: string
          company_id?: string | null
          contact_id?: string | null
          deal_id?: string | null
          activity_id?: string | null
          owner_id?: string | null
          team_id?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "files_activity_fkey"
            columns: ["organization_id", "activity_id"]
            isOneToOne: false
            referencedRelation: "activities"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "files_company_fkey"
            columns: ["organization_id", "company_id"]
            isOneToOne: false
            referencedRelation: "companies"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "files_contact_fkey"
            columns: ["organization_id", "contact_id"]
            isOneToOne: false
            referencedRelation: "contacts"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "files_deal_fkey"
            columns: ["organization_id", "deal_id"]
            isOneToOne: false
            referencedRelation: "deals"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "files_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "files_owner_fkey"
            columns: ["organization_id", "owner_id"]
            isOneToOne: false
            referencedRelation: "memberships"
            referencedColumns: ["organization_id", "user_id"]
          },
          {
            foreignKeyName: "files_team_fkey"
            columns: ["organization_id", "team_id"]
            isOneToOne: false
            referencedRelation: "teams"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      import_jobs: {
        Row: {
          organization_id: string
          id: string
          object: "company" | "contact" | "deal" | "activity"
          status: "draft" | "queued" | "running" | "done" | "failed" | "cancelled"
          file_id: string | null
          mapping: Json
          total_rows: number
          imported_rows: number
          failed_rows: number
          error: string | null
          created_by: string | null
          created_at: string
          updated_at: string
          started_at: string | null
          finished_at: string | null
        }
        Insert: {
          organization_id: string
          id?: string
          object: "company" | "contact" | "deal" | "activity"
          file_id?: string | null
          mapping?: Json
        }
        Update: {
          file_id?: string | null
          mapping?: Json
        }
        Relationships: [
          {
            foreignKeyName: "import_jobs_file_fkey"
            columns: ["organization_id", "file_id"]
            isOneToOne: false
            referencedRelation: "files"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "import_jobs_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      import_rows: {
        Row: {
          organization_id: string
          import_job_id: string
          row_number: number
          status: "pending" | "imported" | "skipped" | "failed"
          data: Json
          record_id: string | null
          error_code: string | null
          error_message: string | null
        }
        Insert: {
          organization_id: string
          import_job_id: string
          row_number: number
          data: Json
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "import_rows_import_job_fkey"
            columns: ["organization_id", "import_job_id"]
            isOneToOne: false
            referencedRelation: "import_jobs"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "import_rows_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      integrations: {
        Row: {
          organization_id: string
          id: string
          provider: string
          name: string
          audience: string
          status: "active" | "needs_reauth" | "disabled"
          created_by: string | null
          created_at: string
          updated_at: string
        }
        Insert: {
          organization_id: string
          id?: string
          provider: string
          name: string
          audience: string
        }
        Update: {
          name?: string
          audience?: string
          status?: "active" | "needs_reauth" | "disabled"
        }
        Relationships: [
          {
            foreignKeyName: "integrations_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      invitations: {
        Row: {
          organization_id: string
          id: string
          email: string
          role: string
          invited_by: string | null
          created_at: string
          made_at_aal2: boolean
          expires_at: string
          accepted_at: string | null
          accepted_by: string | null
          revoked_at: string | null
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "invitations_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "invitations_role_fkey"
            columns: ["organization_id", "role"]
            isOneToOne: false
            referencedRelation: "roles"
            referencedColumns: ["organization_id", "key"]
          },
        ]
      }
      memberships: {
        Row: {
          organization_id: string
          user_id: string
          role: string
          status: "active" | "suspended"
          created_at: string
          updated_at: string
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "memberships_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "memberships_role_fkey"
            columns: ["organization_id", "role"]
            isOneToOne: false
            referencedRelation: "roles"
            referencedColumns: ["organization_id", "key"]
          },
        ]
      }
      messages: {
        Row: {
          organization_id: string
          id: string
          conversation_id: string
          direction: "inbound" | "outbound" | "internal"
          sender_name: string | null
          sender_address: string | null
          recipient_addresses: string | null
          subject: string | null
          body_html: string | null
          body_text: string | null
          external_id: string | null
          sent_at: string
          created_by: string | null
          created_at: string
          owner_id: string | null
          team_id: string | null
        }
        Insert: {
          organization_id: string
          id?: string
          conversation_id: string
          direction: "inbound" | "outbound" | "internal"
          sender_name?: string | null
          sender_address?: string | null
          recipient_addresses?: string | null
          subject?: string | null
          body_html?: string | null
          body_text?: string | null
          external_id?: string | null
          sent_at?: string
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "messages_conversation_fkey"
            columns: ["organization_id", "conversation_id"]
            isOneToOne: false
            referencedRelation: "conversations"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "messages_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      organization_exports: {
        Row: {
          organization_id: string
          id: string
          status: "requested" | "running" | "done" | "failed"
          requested_by: string | null
          requested_at: string
          started_at: string | null
          finished_at: string | null
          row_count: number | null
          manifest_sha256: string | null
          error: string | null
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "organization_exports_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      organizations: {
        Row: {
          id: string
          name: string
          slug: string
          status: "active" | "closing" | "closed" | "purged"
          require_mfa: boolean
          currency: string
          time_zone: string
          created_at: string
          updated_at: string
        }
        Insert: {
        }
        Update: {
          name?: string
          currency?: string
          time_zone?: string
        }
        Relationships: [
        ]
      }
      permissions: {
        Row: {
          key: string
          description: string
          writes: boolean
          step_up: boolean
          members_only: boolean
          code: number
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
        ]
      }
      pipeline_stages: {
        Row: {
          organization_id: string
          id: string
          pipeline_id: string
          name: string
          position: number
          kind: "open" | "won" | "lost"
          probability: number
          created_at: string
          updated_at: string
        }
        Insert: {
          organization_id: string
          id?: string
          pipeline_id: string
          name: string
          position?: number
          kind?: "open" | "won" | "lost"
          probability?: number
        }
        Update: {
          name?: string
          position?: number
          probability?: number
        }
        Relationships: [
          {
            foreignKeyName: "pipeline_stages_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "pipeline_stages_pipeline_fkey"
            columns: ["organization_id", "pipeline_id"]
            isOneToOne: false
            referencedRelation: "pipelines"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      pipelines: {
        Row: {
          organization_id: string
          id: string
          name: string
          position: number
          is_default: boolean
          created_at: string
          updated_at: string
        }
        Insert: {
          organization_id: string
          id?: string
          name: string
          position?: number
          is_default?: boolean
        }
        Update: {
          name?: string
          position?: number
          is_default?: boolean
        }
        Relationships: [
          {
            foreignKeyName: "pipelines_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      profiles: {
        Row: {
          user_id: string
          display_name: string
          avatar_url: string | null
          created_at: string
          updated_at: string
        }
        Insert: {
          user_id: string
          display_name: string
          avatar_url?: string | null
        }
        Update: {
          display_name?: string
          avatar_url?: string | null
        }
        Relationships: [
        ]
      }
      role_permissions: {
        Row: {
          organization_id: string
          role: string
          permission: string
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "role_permissions_permission_fkey"
            columns: ["permission"]
            isOneToOne: false
            referencedRelation: "permissions"
            referencedColumns: ["key"]
          },
          {
            foreignKeyName: "role_permissions_role_fkey"
            columns: ["organization_id", "role"]
            isOneToOne: false
            referencedRelation: "roles"
            referencedColumns: ["organization_id", "key"]
          },
        ]
      }
      roles: {
        Row: {
          organization_id: string
          key: "owner" | "admin" | "manager" | "member" | "viewer"
          name: string
          rank: number
          builtin: boolean
          created_at: string
          updated_at: string
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "roles_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      secrets: {
        Row: {
          organization_id: string
          id: string
          integration_id: string | null
          name: string
          provider: string | null
          kind: "api_key" | "oauth2" | "webhook" | "password" | "certificate"
          audience: string
          current_version: number
          hint: string | null
          fingerprint: string | null
          status: "active" | "expired" | "needs_reauth" | "disabled" | "shredded"
          expires_at: string | null
          last_rotated_at: string | null
          last_used_at: string | null
          created_by: string | null
          created_at: string
          updated_at: string
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "secrets_integration_fkey"
            columns: ["organization_id", "integration_id"]
            isOneToOne: false
            referencedRelation: "integrations"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "secrets_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      subprocessor_subscriptions: {
        Row: {
          organization_id: string
          email: string
          created_at: string
        }
        Insert: {
          organization_id: string
          email: string
          created_at?: string
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "subprocessor_subscriptions_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      subprocessors: {
        Row: {
          key: string
          version: number
          name: string
          purpose: string
          location: string
          url: string | null
          effective_from: string
          effective_to: string | null
          announced_at: string | null
          created_at: string
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
        ]
      }
      support_requests: {
        Row: {
          organization_id: string
          id: string
          agent_id: string
          permissions: string[]
          writes: boolean
          reason: string
          duration: string
          status: "pending" | "approved" | "denied" | "revoked"
          break_glass: boolean
          requested_at: string
          decided_by: string | null
          decided_at: string | null
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "support_requests_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      tags: {
        Row: {
          organization_id: string
          id: string
          name: string
          color: string
          created_at: string
          updated_at: string
        }
        Insert: {
          organization_id: string
          id?: string
          name: string
          color?: string
        }
        Update: {
          name?: string
          color?: string
        }
        Relationships: [
          {
            foreignKeyName: "tags_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      team_members: {
        Row: {
          organization_id: string
          team_id: string
          user_id: string
          created_at: string
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "team_members_membership_fkey"
            columns: ["organization_id", "user_id"]
            isOneToOne: false
            referencedRelation: "memberships"
            referencedColumns: ["organization_id", "user_id"]
          },
          {
            foreignKeyName: "team_members_team_fkey"
            columns: ["organization_id", "team_id"]
            isOneToOne: false
            referencedRelation: "teams"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      teams: {
        Row: {
          organization_id: string
          id: string
          name: string
          created_at: string
          updated_at: string
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "teams_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
      user_settings: {
        Row: {
          user_id: string
          active_organization_id: string | null
          locale: string
          time_zone: string
          created_at: string
          updated_at: string
        }
        Insert: {
          user_id: string
          locale?: string
          time_zone?: string
        }
        Update: {
          locale?: string
          time_zone?: string
        }
        Relationships: [
          {
            foreignKeyName: "user_settings_active_organization_fkey"
            columns: ["active_organization_id", "user_id"]
            isOneToOne: false
            referencedRelation: "memberships"
            referencedColumns: ["organization_id", "user_id"]
          },
        ]
      }
      webhook_endpoints: {
        Row: {
          organization_id: string
          id: string
          integration_id: string | null
          secret_id: string | null
          name: string
          scheme: "standard" | "stripe" | "github" | "slack" | "hubspot" | "twilio" | "calendly" | "linear" | "meta" | "shopify" | "typeform" | "generic"
          options: Json
          tolerance_seconds: number
          previous_version: number | null
          previous_until: string | null
          status: "active" | "disabled"
          created_by: string | null
          created_at: string
          updated_at: string
        }
        Insert: {
          organization_id: string
          id?: string
          integration_id?: string | null
          secret_id?: string | null
          name: string
          scheme: "standard" | "stripe" | "github" | "slack" | "hubspot" | "twilio" | "calendly" | "linear" | "meta" | "shopify" | "typeform" | "generic"
          options?: Json
          tolerance_seconds?: number
          status?: "active" | "disabled"
        }
        Update: {
          integration_id?: string | null
          secret_id?: string | null
          name?: string
          scheme?: "standard" | "stripe" | "github" | "slack" | "hubspot" | "twilio" | "calendly" | "linear" | "meta" | "shopify" | "typeform" | "generic"
          options?: Json
          tolerance_seconds?: number
          status?: "active" | "disabled"
        }
        Relationships: [
          {
            foreignKeyName: "webhook_endpoints_integration_fkey"
            columns: ["organization_id", "integration_id"]
            isOneToOne: false
            referencedRelation: "integrations"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "webhook_endpoints_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "webhook_endpoints_secret_fkey"
            columns: ["organization_id", "secret_id"]
            isOneToOne: false
            referencedRelation: "secrets"
            referencedColumns: ["organization_id", "id"]
          },
        ]
      }
      webhook_events: {
        Row: {
          organization_id: string
          id: string
          endpoint_id: string | null
          event_id: string | null
          content_type: string | null
          body: string
          payload: Json | null
          status: "received" | "processed" | "failed"
          received_at: string
          processed_at: string | null
          error_code: string | null
        }
        Insert: {
        }
        Update: {
        }
        Relationships: [
          {
            foreignKeyName: "webhook_events_endpoint_fkey"
            columns: ["organization_id", "endpoint_id"]
            isOneToOne: false
            referencedRelation: "webhook_endpoints"
            referencedColumns: ["organization_id", "id"]
          },
          {
            foreignKeyName: "webhook_events_organization_id_fkey"
            columns: ["organization_id"]
            isOneToOne: false
            referencedRelation: "organizations"
            referencedColumns: ["id"]
          },
        ]
      }
    }
    Views: {}
    Functions: {
      accept_invitation: {
        Args: { token: string }
        Returns: string
      }
      add_team_member: {
        Args: { organization_id: string; team_id: string; user_id: string }
        Returns: undefined
      }
      approve_support_request: {
        Args: { organization_id: string; request_id: string }
        Returns: undefined
      }
      break_glass_support_request: {
        Args: { organization_id: string; request_id: string }
        Returns: undefined
      }
      cancel_import: {
        Args: { organization_id: string; import_job_id: string }
        Returns: Database["public"]["Tables"]["import_jobs"]["Row"][]
      }
      change_member_role: {
        Args: { organization_id: string; user_id: string; role: string }
        Returns: undefined
      }
      close_organization: {
        Args: { organization_id: string; reason?: string }
        Returns: string
      }
      complete_activity: {
        Args: { organization_id: string; activity_id: string; outcome?: string }
        Returns: Database["public"]["Tables"]["activities"]["Row"][]
      }
      create_api_key: {
        Args: { organization_id: string; name: string; permissions: string[]; days?: number }
        Returns: { api_key_id: string; api_key: string; hint: string; expires_at: string }[]
      }
      create_organization: {
        Args: { name: string; slug: string }
        Returns: Database["public"]["Tables"]["organizations"]["Row"][]
      }
      create_role: {
        Args: { organization_id: string; key: string; name: string; rank: number; permissions: string[] }
        Returns: Database["public"]["Tables"]["roles"]["Row"][]
      }
      create_team: {
        Args: { organization_id: string; name: string }
        Returns: Database["public"]["Tables"]["teams"]["Row"][]
      }
      delete_role: {
        Args: { organization_id: string; key: string }
        Returns: undefined
      }
      delete_team: {
        Args: { organization_id: string; team_id: string }
        Returns: undefined
      }
      deny_support_request: {
        Args: { organization_id: string; request_id: string }
        Returns: undefined
      }
      exchange_api_key: {
        Args: { api_key: string }
        Returns: { token: string; expires_at: string; organization_id: string }[]
      }
      health: {
        Args: Record<PropertyKey, never>
        Returns: Json
      }
      invite_member: {
        Args: { organization_id: string; email: string; role: string; expires_in?: string }
        Returns: { invitation_id: string; token: string; expires_at: string }[]
      }
      leave_organization: {
        Args: { organization_id: string }
        Returns: undefined
      }
      merge_contacts: {
        Args: { organization_id: string; survivor_id: string; merged_id: string }
        Returns: { merge_id: string; moved: number; undo_until: string }[]
      }
      move_deal: {
        Args: { organization_id: string; deal_id: string; stage_id: string; lost_reason?: string }
        Returns: Database["public"]["Tables"]["deals"]["Row"][]
      }
      my_permissions: {
        Args: { organization_id: string }
        Returns: string[]
      }
      queue_import: {
        Args: { organization_id: string; import_job_id: string }
        Returns: Database["public"]["Tables"]["import_jobs"]["Row"][]
      }
      reinstate_member: {
        Args: { organization_id: string; user_id: string }
        Returns: undefined
      }
      remove_member: {
        Args: { organization_id: string; user_id: string }
        Returns: undefined
      }
      remove_team_member: {
        Args: { organization_id: string; team_id: string; user_id: string }
        Returns: undefined
      }
      rename_team: {
        Args: { organization_id: string; team_id: string; name: string }
        Returns: undefined
      }
      reopen_organization: {
        Args: { organization_id: string }
        Returns: undefined
      }
      request_export: {
        Args: { organization_id: string }
        Returns: string
      }
      request_support_access: {
        Args: { organization_id: string; permissions: string[]; reason: string; duration?: string; writes?: boolean }
        Returns: string
      }
      restore: {
        Args: { organization_id: string; object: string; ids: string[] }
        Returns: number
      }
      revoke_api_key: {
        Args: { organization_id: string; api_key_id: string }
        Returns: undefined
      }
      revoke_invitation: {
        Args: { organization_id: string; invitation_id: string }
        Returns: undefined
      }
      revoke_support_access: {
        Args: { organization_id: string; request_id?: string }
        Returns: number
      }
      search_activities: {
        Args: { organization_id: string; query: string; max_results?: number }
        Returns: Database["public"]["Tables"]["activities"]["Row"][]
      }
      search_companies: {
        Args: { organization_id: string; query: string; max_results?: number }
        Returns: Database["public"]["Tables"]["companies"]["Row"][]
      }
      search_contacts: {
        Args: { organization_id: string; query: string; max_results?: number }
        Returns: Database["public"]["Tables"]["contacts"]["Row"][]
      }
      search_deals: {
        Args: { organization_id: string; query: string; max_results?: number }
        Returns: Database["public"]["Tables"]["deals"]["Row"][]
      }
      secret_access_log: {
        Args: { organization_id: string; max_rows?: number }
        Returns: { occurred_at: string; name: string; version: number; action: string; actor: string; purpose: string; outcome: string }[]
      }
      set_active_organization: {
        Args: { organization_id: string }
        Returns: undefined
      }
      set_require_mfa: {
        Args: { organization_id: string; required: boolean }
        Returns: undefined
      }
      soft_delete: {
        Args: { organization_id: string; object: string; ids: string[] }
        Returns: number
      }
      support_access: {
        Args: { organization_id: string }
        Returns: { grant_id: string; request_id: string; agent_id: string; permission: string; reason: string; approved_by: string; break_glass: boolean; starts_at: string; expires_at: string; revoked_at: string }[]
      }
      support_read: {
        Args: { organization_id: string; table_name: string; filter?: Json; max_rows?: number }
        Returns: Json[]
      }
      suspend_member: {
        Args: { organization_id: string; user_id: string }
        Returns: undefined
      }
      tag_records: {
        Args: { organization_id: string; object: string; ids: string[]; tag_ids: string[] }
        Returns: number
      }
      transfer_ownership: {
        Args: { organization_id: string; user_id: string }
        Returns: undefined
      }
      unmerge_contacts: {
        Args: { organization_id: string; merge_id: string }
        Returns: Database["public"]["Tables"]["contacts"]["Row"][]
      }
      untag_records: {
        Args: { organization_id: string; object: string; ids: string[]; tag_ids: string[] }
        Returns: number
      }
      update_role: {
        Args: { organization_id: string; key: string; name?: string; rank?: number; permissions?: string[] }
        Returns: Database["public"]["Tables"]["roles"]["Row"][]
      }
    }
    Enums: {}
    CompositeTypes: {}
  }
}
