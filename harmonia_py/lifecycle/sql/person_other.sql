-- The address is somebody else's here, or the id is that of somebody with another address.
select u.id
from auth.users as u
where
    (u.id <> %(id)s and lower(u.email) = lower(%(email)s))
    or (u.id = %(id)s and lower(u.email) is distinct from lower(%(email)s))
limit 1
